"""The page in a real browser."""

import io
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from browsing import Visit, axe_source, chromium, visit
from PIL import Image
from serving import Address, digit, in_thread, png

from vivavoce.artifacts import open_model
from vivavoce.images import Fit
from vivavoce.images.imageset import to_float
from vivavoce.serve.examples import examples

NARROW = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}
DARK = {"color_scheme": "dark"}
SCREENS = {"light": {}, "dark": DARK, "narrow": NARROW, "narrow dark": NARROW | DARK}
FULL = ("dark", "narrow")  # the two others have each of their colours and widths


@pytest.fixture(scope="module")
def server():
    model = open_model("digits-speech")
    with in_thread(model, examples(model, None)) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "seven.png").write_bytes(digit(7))
    pixels = np.asarray(Image.open(io.BytesIO(digit(1))))
    (folder / "negative.png").write_bytes(png(255 - pixels))
    (folder / "notes.txt").write_text("This is not an image.")
    return folder


def test_examples_are_offered(server: Address, browser):
    with visit(browser, server.url) as seen:
        seen.page.click("#thumbnails li:nth-child(8) button")
        assert seen.answer() == "seven"
        assert seen.page.get_attribute("#thumbnails li:nth-child(8) img", "alt") == "Try an image of class 7"


def test_upload_see_and_hear(server: Address, browser, files):
    with visit(browser, server.url) as seen:
        seen.show(files / "seven.png")
        assert seen.answer() == "seven"
        assert seen.page.inner_text("#verdict") == "It is sure (class 7)."
        assert seen.page.inner_text("#status") == "It says: seven"
        expected = server.classify(digit(7), "?audio=wav").json
        sound = seen.sound()
        assert sound["source"].startswith("blob:")
        assert sound["error"] is None
        assert sound["seconds"] == pytest.approx(expected["audio"]["seconds"], abs=0.01)
        assert seen.played()
        assert float(seen.page.get_attribute("#meter", "aria-valuenow") or "") == round(expected["loss"], 2)
        names = seen.page.locator("#scores .name").all_inner_texts()
        assert names == sorted(expected["scores"], key=lambda name: -expected["scores"][name])
        assert drawn(seen) > 1_000
        assert {url.split("/")[2] for url in seen.requests if url.startswith("http")} == {
            f"127.0.0.1:{server.port}"
        }
        assert all(url.startswith(("http:", "blob:", "data:")) for url in seen.requests)


def drawn(seen: Visit) -> int:
    """Colours on the spectrogram's canvas."""
    script = """() => {
        const canvas = document.getElementById("spectrogram");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
    }"""
    return seen.page.evaluate(script)


def test_not_sure(server: Address, browser, files):
    with visit(browser, server.url) as seen:
        seen.show(files / "negative.png")
        word = seen.answer()
        assert seen.page.inner_text("#verdict").startswith("It is not sure")
        assert seen.page.inner_text("#status") == f"Not sure, but it says: {word}"
        assert "The model is sure only below" in seen.page.inner_text("#near")


def test_a_bad_file_is_told_and_leaves_nothing_of_the_one_before(server: Address, browser, files):
    with visit(browser, server.url) as seen:
        seen.show(files / "seven.png")
        seen.answer()
        seen.show(files / "notes.txt")
        alert = seen.page.get_by_role("alert")
        alert.wait_for()
        assert alert.inner_text() == "notes.txt: not an image that can be read (no known format)."
        assert not seen.page.locator("#details").is_visible()
        assert not seen.page.locator("#preview").is_visible()
        assert "415" in seen.complaints.pop()  # the browser's own note of a refused request
        seen.show(files / "seven.png")
        assert seen.answer() == "seven"
        assert not alert.is_visible()


def test_drop_and_paste(server: Address, browser):
    script = """([kind, bytes]) => {
        const data = new DataTransfer();
        if (bytes) data.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
        document.dispatchEvent(kind === "drop"
            ? new DragEvent("drop", { dataTransfer: data, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data }));
    }"""
    for kind, k, word in (("drop", 3, "three"), ("paste", 9, "nine")):
        with visit(browser, server.url) as seen:
            seen.page.evaluate(script, [kind, list(digit(k))])
            assert seen.answer() == word
            seen.page.evaluate(script, [kind, None])
            assert "image" in seen.page.get_by_role("alert").inner_text()


def test_a_photograph(server: Address, browser):
    with visit(browser, server.url) as seen:
        seen.page.get_by_role("button", name="Take a photo").click()
        take = seen.page.get_by_role("button", name="Take it")
        take.wait_for()
        seen.page.wait_for_timeout(500)  # for the camera's first frame
        take.click()
        assert seen.answer()
        assert not seen.page.locator("dialog").is_visible()
        assert seen.page.evaluate("document.getElementById('preview').naturalWidth") > 100


def test_by_keyboard_alone(server: Address, browser, files):
    with visit(browser, server.url) as seen:
        keyboard, focused = seen.page.keyboard, "document.activeElement.id"
        keyboard.press("Tab")
        assert seen.page.evaluate(focused) == "file"
        with seen.page.expect_file_chooser() as chooser:
            keyboard.press("Enter")
        chooser.value.set_files(files / "seven.png")
        assert seen.answer() == "seven"
        assert seen.played()
        stops = []
        for _ in range(18):  # ten of them on the examples, which have no id
            keyboard.press("Tab")
            stops.append(seen.page.evaluate(focused))
        assert [stop for stop in dict.fromkeys(stops) if stop] == ["camera", "aloud", "again", "sound"]
        seen.page.focus("#again")
        keyboard.press("Enter")
        assert not seen.page.evaluate("document.getElementById('sound').ended")
        assert seen.played()
        seen.page.focus("#camera")
        keyboard.press("Enter")
        seen.page.wait_for_selector("dialog[open]")
        keyboard.press("Escape")
        seen.page.wait_for_selector("dialog[open]", state="detached")
        seen.page.wait_for_timeout(200)  # the dialog tells of its end a moment later
        assert seen.page.evaluate("document.getElementById('video').srcObject") is None
        assert seen.page.evaluate(focused) == "camera"


def test_silence_when_asked_for(server: Address, browser, files):
    with visit(browser, server.url) as seen:
        seen.page.uncheck("#aloud")
        seen.show(files / "seven.png")
        seen.answer()
        seen.sound()
        assert seen.page.evaluate("document.getElementById('sound').paused")
        seen.page.click("#again")
        assert seen.played()


def test_a_phone(server: Address, browser, files):
    with visit(browser, server.url, **NARROW) as seen:
        seen.show(files / "seven.png")
        assert seen.answer() == "seven"
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for box in (e.bounding_box() for e in seen.page.locator(".button:visible").all()):
            assert box
            assert box["height"] >= 44
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 320
        seen.page.wait_for_timeout(1_000)  # scrolled to the answer
        box = seen.page.locator("#word").bounding_box()
        assert box
        assert 0 <= box["y"] < 400


@pytest.mark.parametrize(
    "screen", [pytest.param(s, marks=pytest.mark.full) if s in FULL else s for s in SCREENS]
)
def test_accessible(screen, server: Address, browser, files):
    axe = axe_source()
    with visit(browser, server.url, bypass_csp=True, **SCREENS[screen]) as seen:
        assert seen.violations(axe) == []
        for name in ("seven.png", "negative.png"):
            seen.show(files / name)
            seen.answer()
            assert seen.violations(axe) == []
        seen.show(files / "notes.txt")
        seen.page.get_by_role("alert").wait_for()
        assert seen.violations(axe) == []
        seen.complaints.clear()
        if "narrow" not in screen:
            seen.page.click("#camera")
            seen.page.wait_for_selector("dialog[open]")
            assert seen.violations(axe) == []
    with visit(browser, f"{server.url}/docs", bypass_csp=True, **SCREENS[screen]) as seen:
        seen.page.wait_for_selector("section:nth-of-type(4)")
        assert seen.violations(axe) == []
        assert "Add the sound of the answer" in seen.page.inner_text("main")


def test_axe_sees_what_is_wrong(server: Address, browser):
    with visit(browser, server.url, bypass_csp=True) as seen:
        seen.page.evaluate(
            "document.getElementById('sound').closest('figure, div').innerHTML += '<img src=\"data:,\">'"
        )
        seen.page.evaluate("document.querySelector('h2').style.color = '#eeeeee'")
        assert any("color-contrast" in line for line in seen.violations(axe_source()))


def test_a_model_on_logits_shows_scores_alone(browser, files):
    with in_thread(open_model("digits-category")) as server, visit(browser, server.url) as seen:
        seen.show(files / "seven.png")
        assert seen.answer() == "7"
        assert seen.page.locator("#scores li").count() == 10
        for part in ("#nearness", "#sound", "#spectrogram", "#again", "#aloud"):
            assert not seen.page.locator(part).is_visible()


def test_an_image_too_large_to_send_is_made_smaller(server: Address, browser, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2_000, 2_000, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size > 11_000_000
    with visit(browser, server.url) as seen:
        seen.show(tmp_path / "noise.png")
        assert seen.answer()


def test_a_busy_server_is_asked_again(server: Address, browser, files):
    with visit(browser, server.url) as seen:
        turns = []

        def busy_once(route) -> None:
            turns.append(1)
            if len(turns) == 1:
                route.fulfill(status=503, headers={"Retry-After": "1"}, body='{"detail": "busy"}')
            else:
                route.continue_()

        seen.page.route("**/v1/classify*", busy_once)
        seen.show(files / "seven.png")
        assert seen.answer() == "seven"
        assert len(turns) == 2
        assert "503" in seen.complaints.pop()


def test_a_server_that_is_gone(browser, files):
    with in_thread() as server:
        context = visit(browser, server.url)
        seen = context.__enter__()
    seen.show(files / "seven.png")
    alert = seen.page.get_by_role("alert")
    alert.wait_for()
    assert "is it still running?" in alert.inner_text()
    seen.complaints.clear()
    context.__exit__(None, None, None)


def test_a_hundred_classes(server: Address, browser, files):
    with visit(browser, server.url) as seen:

        def many(route) -> None:
            told = route.fetch().json()
            told["scores"] = {f"class {k}": -float(k) for k in range(100)}
            route.fulfill(json=told)

        seen.page.route("**/v1/classify*", many)
        seen.show(files / "seven.png")
        seen.answer()
        shown = seen.page.locator("#scores li:visible")
        assert shown.count() == 10
        seen.page.get_by_role("button", name="Show all 100").click()
        assert shown.count() == 100


@pytest.fixture(scope="module")
def blank(server: Address, browser):
    """The page as it is at first, for scripts that leave it so."""
    with visit(browser, server.url) as seen:
        yield seen


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(37, 53), (150, 100), (20, 11), (33, 32), (40, 200)])
def test_the_browser_resizes_as_pillow_does(interpolation, size, blank: Visit):
    """What the page without a server shows its model is what Python would."""
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    alpha = np.full((size[1], size[0], 1), 255, np.uint8)
    data = np.concatenate([pixels, alpha], 2).ravel().tolist()
    script = """async ([data, width, fits]) => {
        const { fit } = await import("/page/resample.js");
        const image = new ImageData(new Uint8ClampedArray(data), width);
        return fits.map((about) => Array.from(fit(image, about)));
    }"""
    choices = ((3, None), (1, None), (3, 36), (3, 24), (1, 0))
    fits = [Fit(32, 32, channels, resize, interpolation) for channels, resize in choices]  # type: ignore[arg-type]
    results = blank.page.evaluate(script, [data, size[0], [asdict(fit) for fit in fits]])
    for fit, result in zip(fits, results, strict=True):
        got, expected = np.array(result, np.float32), to_float(fit(Image.fromarray(pixels))[None]).ravel()
        assert np.array_equal(got, expected), (fit, np.abs(got - expected).max() * 255)
