"""Requests that come together, too many of them, and the end of the server."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from serving import Process, SlowModel, digit, in_thread

from vivavoce.artifacts import open_model
from vivavoce.images.imageset import to_float


def test_requests_that_come_together_share_a_run_of_the_model():
    model = SlowModel(0.3)
    with in_thread(model) as server, ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda k: server.classify(digit(k % 10)), range(16)))
    assert [r.json["class"] for r in replies] == [str(k % 10) for k in range(16)]
    batches = model.batches[1:]  # without the first, the warm-up
    assert sum(batches) == 16
    assert len(batches) <= 5, batches


def test_a_batch_is_not_larger_than_allowed():
    model = SlowModel(0.2)
    with in_thread(model, batch=3) as server, ThreadPoolExecutor(12) as pool:
        assert {r.status for r in pool.map(lambda k: server.classify(digit(k % 10)), range(12))} == {200}
    assert max(model.batches) == 3


def test_company_does_not_change_an_answer():
    images = [digit(k) for k in range(10)]
    alone = open_model("digits-speech")
    with in_thread(SlowModel(0.2)) as server, ThreadPoolExecutor(10) as pool:
        told = [r.json for r in pool.map(server.classify, images)]
    for image, answer in zip(images, told, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(image)))[None]
        expected = alone.answer(to_float(pixels)).scores[0]
        assert list(answer["scores"].values()) == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-4)


def test_while_the_model_works_the_server_listens():
    with in_thread(SlowModel(1.5)) as server, ThreadPoolExecutor(4) as pool:
        working = [pool.submit(server.classify, digit(k)) for k in range(4)]
        time.sleep(0.3)
        waits = []
        for _ in range(10):
            start = time.perf_counter()
            assert server.ask("GET", "/healthz").status == 200
            waits.append(time.perf_counter() - start)
        assert not any(future.done() for future in working)
        assert sorted(waits)[5] < 0.15
        assert {future.result().status for future in working} == {200}


def test_more_than_may_wait_are_told_to_come_back():
    with in_thread(SlowModel(1), waiting=4) as server, ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda k: server.classify(digit(k % 10)), range(12)))
        statuses = [r.status for r in replies]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 4
        assert {r.headers.get("retry-after") for r in replies if r.status == 503} == {"1"}
        assert server.classify(digit(3)).json["class"] == "3"
        assert server.metric("vivavoce_waiting") == 0


def test_an_answer_that_takes_too_long_is_not_waited_for():
    with in_thread(SlowModel(2), answer_seconds=0.5) as server:
        start = time.monotonic()
        reply = server.classify(digit(3))
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert time.monotonic() - start < 1.5
        assert "in time" in reply.json["detail"]


def test_a_model_that_fails_is_told_and_survived():
    from vivavoce.errors import VivavoceError

    class Failing(SlowModel):
        def answer(self, images):
            if self.batches and images.mean() < 0.01:
                raise VivavoceError("onnxruntime failed on a batch")
            return super().answer(images)

    black = io.BytesIO()
    Image.new("RGB", (32, 32)).save(black, "PNG")
    with in_thread(Failing(0)) as server:
        reply = server.classify(black.getvalue())
        assert (reply.status, reply.json) == (500, {"detail": "onnxruntime failed on a batch"})
        assert server.classify(digit(3)).status == 200


def test_what_was_accepted_is_finished_after_sigterm():
    with Process("digits-speech") as server:
        got: list[int] = []
        refused: list[Exception] = []

        def work(k: int) -> None:
            for _ in range(40):
                try:
                    got.append(server.classify(digit(k), "?audio=wav").status)
                except ConnectionRefusedError as error:  # and no other: nobody is cut off
                    refused.append(error)
                    return

        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        [thread.start() for thread in threads]
        time.sleep(1)
        server.terminate()
        [thread.join() for thread in threads]
        assert server.wait() == (0, "")
    assert refused
    assert set(got) <= {200, 503}
    assert got.count(200) > 8
