"""The page that needs no server: one HTML file in a real browser, without a network."""

import base64
import html
import io
import re
import subprocess
import tarfile
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from browsing import axe_source, chromium, npm_package, visit
from commands import inside
from PIL import Image
from serving import digit, png

from vivavoce.artifacts import Manifest, open_model, shipped_models
from vivavoce.cli import main
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float
from vivavoce.serve.answers import answer_images
from vivavoce.serve.page_voice import sounds_of_names, speaking_file
from vivavoce.serve.web import RUNTIME, bundle

FLAWS = [
    (["no.tgz", "digits-speech"], "not the npm package"),
    (["{package}", "no-such-model"], "no such model"),
    (["{package}", "digits-speech", "-o", "no/a.html"], "no such folder"),
]


def web(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    package, model, *rest = arguments
    return inside(main, "web", model, "--runtime", package, *rest, cwd=cwd)


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def renamed(folder: Path) -> Path:
    """A model on logits whose classes have names that no shipped model says."""
    model = onnx.load(open_model("digits-category").path)
    entry = next(p for p in model.metadata_props if p.key == "vivavoce")
    manifest = Manifest.from_json(entry.value)
    entry.value = msgspec.structs.replace(manifest, classes=tuple("abcdefghij"), spoken=()).to_json()
    onnx.save(model, folder / "renamed.onnx")
    return folder / "renamed.onnx"


@pytest.fixture(scope="module")
def pages(speaks, tmp_path_factory) -> dict[str, Path]:
    """Pages with a model that speaks, with those that ship, and with one that is silent."""
    folder, package = tmp_path_factory.mktemp("pages"), npm_package("onnxruntime-web")
    made = {}
    models = {"speaks": speaks, "shipped": "digits-speech", "logits": "digits-category"}
    for name, model in (models | {"silent": renamed(folder)}).items():
        made[name] = folder / f"{name}.html"
        done = web(package, model, "-o", made[name])
        assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def seven(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("images") / "seven.png"
    path.write_bytes(digit(7))
    return path


def test_it_answers_and_speaks_without_a_network(pages, browser, seven):
    with visit(browser, pages["speaks"].as_uri()) as seen:
        seen.page.context.set_offline(True)
        seen.show(seven)
        assert seen.answer() == "seven"
        assert seen.page.inner_text("#verdict") == "It is sure (class 7)."
        sound = seen.sound()
        assert sound["error"] is None
        assert sound["seconds"] == pytest.approx(0.778, abs=0.01)
        assert seen.played()
        assert "nothing is sent" in seen.page.inner_text("footer")
        assert all(url.startswith(("file:", "blob:", "data:")) for url in seen.requests)
        assert sum(url.startswith("file:") for url in seen.requests) == 1


def test_it_offers_examples(pages, browser):
    with visit(browser, pages["logits"].as_uri()) as seen:
        seen.page.context.set_offline(True)
        seen.page.click("#thumbnails li:nth-child(4) button")
        assert seen.answer() == "three"


def test_its_answers_are_those_of_python(pages, browser, tmp_path):
    """On images that have to be resized, in every figure that the page shows."""
    model, digits = open_model("digits-speech"), open_images("digits")
    with visit(browser, pages["shipped"].as_uri()) as seen:
        for index, size in ((3, (50, 50)), (40, (90, 41)), (77, (32, 32)), (200, (300, 400))):
            image = Image.fromarray(digits.read(index, Fit(32, 32))).resize(size)
            image.save(tmp_path / f"{index}.png")
            expected = answer_images(model, to_float(Fit(32, 32)(image)[None]))[0]
            seen.page.evaluate("document.getElementById('details').hidden = true")
            seen.show(tmp_path / f"{index}.png")
            assert seen.answer() == expected.spoken
            shown = float(seen.page.get_attribute("#meter", "aria-valuenow") or "nan")
            assert shown == pytest.approx(expected.loss, abs=0.0051)
            best = seen.page.locator("#scores .value").first.inner_text().replace("−", "-")
            assert float(best) == pytest.approx(expected.score, abs=0.0051)


def test_the_models_that_ship_speak(pages, browser, seven):
    for name in ("shipped", "logits"):
        with visit(browser, pages[name].as_uri()) as seen:
            seen.show(seven)
            assert seen.answer() == "seven"
            assert seen.sound()["seconds"] == pytest.approx(0.778, abs=0.01)
            assert seen.page.locator("#spectrogram").is_visible() == (name == "shipped")


def test_a_model_on_logits_without_sound(pages, browser, seven):
    with visit(browser, pages["silent"].as_uri()) as seen:
        seen.show(seven)
        assert seen.answer() == "h"
        assert not seen.page.locator("#nearness").is_visible()
        assert not seen.page.locator("#voice").is_visible()


def test_every_model_that_ships_has_a_sound_for_each_class():
    for name in shipped_models():
        model = open_model(name)
        named = sounds_of_names(model)
        if model.manifest.label:
            assert named is None
            outputs = {o.name for o in onnx.load_from_string(speaking_file(model)).graph.output}
            assert {"scores", "label", "waveform", "samples"} <= outputs
            continue
        assert named is not None
        assert len(named[0]) == len(named[1]) == len(model.manifest.classes)
        sound = base64.b64decode(named[1][0])
        assert sound[:4] == b"RIFF"
        assert len(sound) > 10_000
        assert speaking_file(model) == model.path.read_bytes()


def test_what_is_no_image(pages, browser, seven, tmp_path):
    (tmp_path / "notes.txt").write_text("This is not an image.")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(seven.read_bytes()[:60])
    with visit(browser, pages["speaks"].as_uri()) as seen:
        for name, message in (
            ("notes.txt", "not an image"),
            ("empty.png", "empty"),
            ("cut.png", "not an image"),
        ):
            seen.show(tmp_path / name)
            alert = seen.page.get_by_text(f"{name}: {message}")
            alert.wait_for()
        seen.show(seven)
        assert seen.answer() == "seven"


def test_images_that_browsers_treat_their_own_way(pages, browser, tmp_path):
    """Turned by EXIF, transparent, grey: the same answer as from the server's own decoder."""
    upright = Image.open(io.BytesIO(digit(4)))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    upright.convert("L").save(tmp_path / "grey.png")
    shade = np.asarray(upright.convert("L"))
    clear = np.dstack([np.zeros((32, 32, 3), np.uint8), 255 - shade])  # black that fades to white paper
    (tmp_path / "clear.png").write_bytes(png(clear))
    with visit(browser, pages["speaks"].as_uri()) as seen:
        for name in ("turned.png", "grey.png", "clear.png"):
            seen.show(tmp_path / name)
            assert seen.answer() == "four", name
            seen.page.evaluate("document.getElementById('details').hidden = true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(scheme, pages, browser, seven):
    axe = axe_source()
    with visit(browser, pages["speaks"].as_uri(), bypass_csp=True, color_scheme=scheme) as seen:
        seen.show(seven)
        seen.answer()
        seen.page.click("summary")
        assert seen.violations(axe) == []


def test_whose_work_is_inside_is_told(pages, repository):
    text = pages["speaks"].read_text()
    own = (repository / "LICENSE").read_text()
    assert html.escape(own) in text
    for notice in ("Microsoft Corporation", "MIT License", "Apache License", "Eigen", "protobuf"):
        assert notice in text
    assert not re.search(r'(src|href)="(?!data:)', text.split("<body>")[1].split("<script")[0])
    assert "connect-src" not in text.split("<head>")[1].split(">")[1]  # default-src 'none' covers it


@pytest.mark.parametrize(("arguments", "message"), FLAWS)
def test_bad_input(arguments, message, tmp_path):
    package = npm_package("onnxruntime-web") if "{package}" in arguments else ""
    arguments = [argument.format(package=package) for argument in arguments]
    output = [] if "-o" in arguments else ["-o", "a.html"]
    done = web(*arguments, *output, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def packed(path: Path, *names: str) -> Path:
    """A package with these files of noise."""
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = 5000
            archive.addfile(member, io.BytesIO(np.random.default_rng(0).bytes(5000)))
    return path


def test_a_package_that_lacks_a_file_or_is_cut_off(tmp_path):
    glue = "ort-wasm-simd-threaded.mjs"
    lacking = packed(tmp_path / "lacking.tgz", "ort.wasm.min.js", glue)
    done = web(lacking, "digits-category", "-o", "a.html", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "not the npm package onnxruntime-web (it has no ort-wasm-simd-threaded.wasm)" in done.stderr
    whole = lacking.read_bytes()
    for length in (20, len(whole) // 2, len(whole) - 4):
        lacking.write_bytes(whole[:length])
        done = web(lacking, "digits-category", "-o", "a.html", cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "not the npm package" in done.stderr
    lacking.write_bytes(whole[:4000] + bytes(len(whole) - 4000))
    done = web(lacking, "digits-category", "-o", "a.html", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert not (tmp_path / "a.html").exists()


def test_the_bundle_holds_each_room_once_and_no_module_syntax():
    script = bundle("offline.js")
    rooms = re.findall(r'^rooms\["(.+)"\] = ', script, re.M)
    assert sorted(rooms) == sorted(set(rooms))
    assert {"app.js", "local.js", "resample.js", "wav.js", "offline.js"} <= set(rooms)
    assert "server.js" not in rooms
    assert not re.search(r"^(import|export) ", script, re.M)


def test_the_tests_and_the_command_take_the_same_package(repository):
    assert f"ONNXRUNTIME_WEB := {RUNTIME}\n" in (repository / "Makefile").read_text()


def test_without_npm_the_package_can_be_given(tmp_path, monkeypatch):
    monkeypatch.setattr("vivavoce.serve.web.user_cache_path", lambda name: tmp_path)
    done = inside(main, "web", "digits-speech", "-o", tmp_path / "a.html", PATH=str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"npm pack {RUNTIME.replace('-web-', '-web@')}" in done.stderr
