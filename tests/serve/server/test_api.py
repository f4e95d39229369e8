"""What the server answers."""

import base64
import io
import json
import re

import msgspec
import numpy as np
import pytest
import soundfile
from PIL import Image
from serving import Address, Process, digit, form, in_thread

from vivavoce.artifacts import open_model
from vivavoce.artifacts.manifest import Names
from vivavoce.images.imageset import to_float
from vivavoce.serve.answers import answer_images, sound_of
from vivavoce.serve.server.app import prefers_sound
from vivavoce.sound.playback import waveform


@pytest.fixture(scope="module")
def server():
    with in_thread() as address:
        yield address


def local_answer(image: bytes):
    pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    model = open_model("digits-speech")
    return model, answer_images(model, to_float(pixels[None]))[0]


def test_an_answer_is_that_of_classify(server: Address):
    image = digit(7)
    reply = server.classify(image)
    model, expected = local_answer(image)
    assert reply.status == 200
    told = reply.json
    assert (told["class"], told["index"], told["spoken"]) == ("7", 7, "seven")
    assert told["loss"] == pytest.approx(expected.loss, rel=1e-4)
    assert told["distance"] == pytest.approx(expected.distance, rel=1e-4)
    assert (told["sure"], told["threshold"]) == (True, 3.5)
    assert list(told["scores"]) == list(model.manifest.classes)
    assert max(told["scores"], key=told["scores"].get) == "7"
    assert told["scores"]["7"] == pytest.approx(expected.score, rel=1e-4)
    assert "audio" not in told
    assert "label" not in told


@pytest.mark.parametrize("name", ["image", "file"])
def test_a_form(server: Address, name):
    body, headers = form(digit(3), name)
    assert server.ask("POST", "/v1/classify", body, headers).json["class"] == "3"


def test_the_sound_comes_along(server: Address):
    image = digit(5)
    audio = server.classify(image, "?audio=wav").json["audio"]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(audio["base64"])), dtype="float32")
    model, answer = local_answer(image)
    expected, expected_rate = sound_of(model, answer)
    assert (rate, audio["rate"], audio["type"]) == (expected_rate, expected_rate, "audio/wav")
    assert audio["seconds"] == pytest.approx(len(expected) / rate, abs=1e-3)
    assert np.corrcoef(samples, expected)[0, 1] > 0.999


def test_the_sound_alone(server: Address):
    reply = server.classify(digit(5), Accept="audio/wav")
    assert (reply.status, reply.headers["content-type"]) == (200, "audio/wav")
    assert (reply.headers["x-class"], reply.headers["x-sure"]) == ("5", "true")
    samples, rate = soundfile.read(io.BytesIO(reply.content))
    assert rate == 22_050
    assert np.abs(samples).max() > 0.5


@pytest.mark.parametrize(
    ("accept", "sound"),
    [
        ("", False), ("*/*", False), ("application/json", False), ("audio/wav", True), ("audio/*", True),
        ("audio/wav;q=0.5, application/json", False), ("application/json;q=0.1, audio/wav", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False), ("audio/wav;q=high", False),
        ("audio/ogg", False),
    ],
)  # fmt: skip
def test_what_is_accepted(accept, sound):
    assert prefers_sound(accept) == sound


def test_the_spectrogram_on_request(server: Address):
    image = digit(2)
    label = np.array(server.classify(image, "?label=true").json["label"])
    assert np.abs(label - local_answer(image)[1].label).max() < 0.02


def test_not_sure(server: Address):
    negative = io.BytesIO()
    Image.eval(Image.open(io.BytesIO(digit(1))), lambda v: 255 - v).save(negative, "PNG")
    told = server.classify(negative.getvalue()).json
    assert told["sure"] is False
    assert told["loss"] >= 3.5


def test_the_model(server: Address):
    told = server.ask("GET", "/v1/model").json
    assert told["model"] == "digits-speech"
    assert told["spoken"][7] == "seven"
    assert told["speaks"] is True
    assert told["accuracy"]["test"] == pytest.approx(0.9889, abs=1e-4)
    assert len(told["seconds"]) == 10


def test_health_and_metrics(server: Address):
    assert server.ask("GET", "/healthz").json == {"status": "ok"}
    before = server.metric("vivavoce_answers_total")
    server.classify(digit(0))
    assert server.metric("vivavoce_answers_total") == before + 1
    text = server.ask("GET", "/metrics").content.decode()
    assert re.search(r'vivavoce_requests_total\{route="/v1/classify",status="200"\} [1-9]', text)
    assert "process_resident_memory_bytes" in text


def test_the_api_describes_itself(server: Address):
    told = server.ask("GET", "/openapi.json").json
    classify = told["paths"]["/v1/classify"]["post"]
    assert set(classify["requestBody"]["content"]) >= {"multipart/form-data", "image/*"}
    assert set(classify["responses"]) >= {"200", "413", "415", "422", "503"}
    properties = told["components"]["schemas"]["Reply"]["properties"]
    assert set(server.classify(digit(1), "?audio=wav&label=true").json) == set(properties)


def test_a_model_on_logits_answers_but_does_not_speak():
    with in_thread(open_model("digits-category")) as server:
        told = server.classify(digit(4)).json
        assert (told["class"], told["sure"], told["loss"]) == ("4", None, None)
        assert server.ask("GET", "/v1/model").json["speaks"] is False
        for reply in (server.classify(digit(4), "?audio=wav"), server.classify(digit(4), Accept="audio/wav")):
            assert reply.status == 406
            assert "does not speak" in reply.json["detail"]


def test_a_model_with_silent_labels_says_the_stored_name():
    silent, speaking = open_model("digits-category"), open_model("digits-speech")
    label = speaking.manifest.label
    assert label is not None
    assert label.mel is not None
    assert label.frames is not None
    assert speaking.bank is not None
    silent.manifest = msgspec.structs.replace(
        silent.manifest,
        schema=2,
        names=Names((64, 64), label.mel, label.frames),
        spoken=speaking.manifest.spoken,
    )
    silent.name_audio = speaking.bank
    with in_thread(silent) as server:
        assert server.ask("GET", "/v1/model").json["speaks"] is True
        told = server.classify(digit(4), "?audio=wav").json
        assert told["class"] == "4"
        aloud = server.classify(digit(4), Accept="audio/wav")
    assert aloud.status == 200
    samples, rate = soundfile.read(io.BytesIO(aloud.content), dtype="float32")
    expected = waveform(speaking.bank[4], label.frames[4], label.mel)
    assert (rate, told["audio"]["rate"]) == (label.mel.sample_rate, rate)
    np.testing.assert_allclose(samples, expected, atol=1e-4)


def test_the_command_says_where_it_is_and_ends_well():
    with Process("digits-speech") as server:
        assert server.greeting.startswith("digits-speech answers at http://127.0.0.1:")
        assert server.classify(digit(8)).json["class"] == "8"
        server.terminate()
        assert server.wait() == (0, "")


def test_an_address_that_is_taken_is_told_in_one_line(server: Address):
    import subprocess

    from serving import VIVAVOCE

    for arguments, message in (
        (["--port", str(server.port)], "in use"),
        (["--host", "nowhere.invalid"], "cannot listen on nowhere.invalid"),
        (["no-such-model"], "no such model"),
    ):
        done = subprocess.run([VIVAVOCE, "serve", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_every_reply_to_nonsense_is_one_line_of_json(server: Address):
    for method, path, status in (
        ("GET", "/v1/classify", 405),
        ("DELETE", "/v1/model", 405),
        ("GET", "/nothing", 404),
        ("POST", "/v1/classify?audio=mp3", 422),
        ("GET", "/page/../cli.py", 404),
        ("GET", "/page/%2e%2e/cli.py", 404),
    ):
        reply = server.ask(method, path, b"x" if method == "POST" else None)
        assert reply.status == status, path
        assert "\n" not in json.loads(reply.content)["detail"]


def test_small_answers_leave_at_once():
    """Without TCP_NODELAY every answer on a kept connection waits 40 ms for an acknowledgement."""
    import socket

    from vivavoce.serve.server.run import listen

    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_the_policy_of_the_page_lets_nothing_out(server: Address):
    for path in ("/", "/docs", "/page/app.js"):
        reply = server.ask("GET", path)
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        again = server.ask("GET", path, headers={"If-None-Match": reply.headers["etag"]})
        assert (again.status, again.content) == (304, b"")
        assert server.ask("HEAD", path).headers["content-length"] == reply.headers["content-length"]
    assert json.loads(server.ask("GET", "/openapi.json").content)["info"]["title"] == "vivavoce"
