"""The HTML report, opened in a browser."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from vivavoce.artifacts import open_model
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.audit.writing.html import page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture(scope="module")
def speech_page(tmp_path_factory):
    settings = Settings(protocol=resolve("paper", epsilons=[0.0, 0.3]), limit=40, command="audit …")
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(robustness(open_model("digits-speech"), settings)), encoding="utf-8")
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
    addresses = re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', text)
    assert addresses == []


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
