"""The HTML report, opened in a browser."""

import re
import shutil
import subprocess
from importlib import resources

import numpy as np
import pytest
from browsing import axe_source, chromium, visit
from msgspec.structs import replace

from vivavoce.artifacts import open_model
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.report import joined, load_report
from vivavoce.audit.run import robustness
from vivavoce.audit.writing.charts import BOTTOM, HIGH, LEFT, TOP, bars, curves
from vivavoce.audit.writing.headline import tone
from vivavoce.audit.writing.html import page

MODELS = resources.files("vivavoce.artifacts.models")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture(scope="module")
def speech_page(tmp_path_factory):
    settings = Settings(protocol=resolve("paper", epsilons=[0.0, 0.15, 0.3]), limit=40, command="audit …")
    path = tmp_path_factory.mktemp("page") / "report.html"
    audit = robustness(open_model("digits-speech"), settings)
    path.write_text(page(audit.report, [audit]), encoding="utf-8")
    return path


def test_the_page_is_one_file_with_everything(speech_page):
    text = speech_page.read_text(encoding="utf-8")
    assert "robust accuracy" in text
    assert text.count("<audio controls") == 2 * text.count('class="example"') > 0
    assert text.count('alt="what the model looked at in the adversarial image"') == text.count(
        'class="example"'
    )
    assert "Grad-CAM" in text
    assert text.index('class="verdict') < text.index("<svg") < text.index("<table>")
    examples = re.findall(r"<h3>[^<]*: (.*)</h3>", text)
    assert len(set(examples)) == len(examples) > 5, "each example shows a different class"
    addresses = re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', text)
    assert addresses == []


@pytest.fixture(scope="module")
def standard_page(speech_page):
    """One epsilon, an ensemble, and nothing left."""
    report = load_report(str(MODELS / "cifar10-category.standard.json"))
    path = speech_page.with_name("standard.html")
    path.write_text(page(report), encoding="utf-8")
    return path


def test_one_epsilon_is_bars_and_the_news_is_bad(standard_page):
    text = standard_page.read_text(encoding="utf-8")
    assert "<svg" not in text
    assert re.findall(r'class="share">([\d.]+) %', text) == ["90.6", "0.0", "0.0", "0.0", "0.0"]
    assert "+ apgd-t, multi-targeted" in text
    assert 'class="verdict bad"' in text
    assert "The model classifies 91 % of the 1000 images correctly. " in text
    assert "After changes of every pixel by at most 3.1 %, it classifies 0 % correctly." in text


def test_bars_of_label_models_show_the_threshold_accuracy():
    whole = load_report(str(MODELS / "digits-robust-speech.standard.json"))
    text, found = page(whole), bars(whole)
    near = [whole.clean.threshold, *(row.threshold_accuracy for row in whole.rows)]
    assert [bar.near for bar in found] == [share and 100 * share for share in near]
    assert None not in near
    shares = re.findall(r'class="share">(.*?) %<', text)
    assert shares == [f"{bar.share:.1f} | {bar.near:.1f}" for bar in found]
    widths = re.findall(r'class="fill near" style="width: (.*?)%"', text)
    assert widths == [f"{bar.near:.1f}" for bar in found]
    assert "dark: the prediction is also within the threshold" in text


def test_curves_begin_at_the_clean_images():
    report = load_report(str(MODELS / "digits-category.json"))
    assert 0 not in report.protocol.epsilons
    for _, picture in curves(report):
        first, *rest = re.search(r'class="line solid" points="([^"]*)"', picture)[1].split()  # type: ignore[index]
        assert len(rest) == 2
        x, y = map(float, first.split(","))
        assert (x, y) == pytest.approx(
            (LEFT, TOP + (HIGH - TOP - BOTTOM) * (1 - report.clean.accuracy)), abs=0.1
        )


@pytest.mark.parametrize(
    ("robust", "level", "expected"),
    [(0.9, "fine", "good"), (0.9, "weak", "doubtful"), (0.0, "fine", "bad"), (0.9, "masked", "masked")],
)
def test_the_colour_of_the_verdict(robust, level, expected):
    report = load_report(str(MODELS / "digits-category.json"))
    count = round(robust * report.data.n)
    images = tuple(replace(image, robust=k < count) for k, image in enumerate(report.images))
    checks = (replace(report.diagnosis[0], level=level), *report.diagnosis[1:])
    assert tone(replace(report, images=images, diagnosis=checks)) == expected


@pytest.fixture(scope="module")
def page_of_two(speech_page):
    """Two protocols on one page."""
    report = load_report(str(MODELS / "digits-category.json"))
    quick = replace(report, protocol=replace(report.protocol, name="quick"))
    path = speech_page.with_name("two.html")
    path.write_text(page(joined([report, quick])), encoding="utf-8")
    return path


@pytest.mark.full
def test_the_pages_are_accessible_at_every_width(speech_page, standard_page, page_of_two):
    axe = axe_source()
    with chromium() as browser:
        for path in (speech_page, standard_page, page_of_two):
            for width in (320, 390, 1100):
                for scheme in ("light", "dark"):
                    size = {"width": width, "height": 900}
                    with visit(browser, path.as_uri(), viewport=size, color_scheme=scheme) as seen:
                        assert seen.violations(axe) == []
                        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page_opens_in_a_browser_without_errors(speech_page, tmp_path):
    picture = tmp_path / "page.png"
    command = [
        str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path}/profile", "--enable-logging=stderr", "--v=0",
        "--window-size=1280,3000", f"--screenshot={picture}", speech_page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    from PIL import Image

    pixels = np.asarray(Image.open(picture).convert("L"))
    assert pixels.shape == (3000, 1280)
    assert len(np.unique(pixels)) > 50
    assert (pixels[:300] < 128).any(), "the verdict stands at the top"
