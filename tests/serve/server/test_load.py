"""The server under load from a second process: no errors, flat memory, nothing lost."""

import io
import json
import time

import pytest
from load import Loader, waiting
from PIL import Image
from serving import Process


@pytest.fixture
def loader(tmp_path) -> Loader:
    return Loader(tmp_path)


def test_a_short_saturation(loader):
    with Process("digits-speech") as server:
        figures = loader.run(server, connections=100, requests=1_500)
    assert set(figures["statuses"]) <= {"200", "503"}
    assert figures["statuses"]["200"] > 500
    assert (figures["lost"], figures["refused"], figures["wrong"]) == (0, 0, 0)


def test_large_images_leave_no_memory_behind():
    file = io.BytesIO()
    Image.new("RGBA", (7_000, 7_000)).save(file, "PNG", compress_level=1)
    with Process("digits-speech") as server:
        before = server.memory()
        assert server.classify(file.getvalue()).status == 200
        assert server.memory(peak=True) - before < 450  # 196 MB decoded, as much again laid on white
        assert server.memory() - before < 30


@pytest.mark.full
@pytest.mark.parametrize("query", ["", "?audio=wav"])
def test_more_than_it_can_do(query, loader):
    """At saturation and beyond there are answers, 503s, and nothing else; at half of it answers alone."""
    count = 6_000 if not query else 400
    with Process("digits-speech") as server:
        full = loader.run(server, connections=48, requests=count, query=query)
        crowded = loader.run(server, connections=200, requests=count, query=query)
        rate = full["rate"] / 2
        half = loader.run(server, connections=waiting(rate), requests=count // 2, rate=rate, query=query)
    for figures in (full, crowded, half):
        print(figures)
        assert set(figures["statuses"]) <= {"200", "503"}
        assert (figures["lost"], figures["refused"], figures["wrong"]) == (0, 0, 0)
    assert crowded["statuses"]["503"] > 0
    assert set(half["statuses"]) == {"200"}


@pytest.mark.full
def test_memory_stays_flat_over_20_000_requests(loader):
    with Process("digits-speech") as server:
        memory = []
        for _ in range(5):
            figures = loader.run(server, connections=48, requests=4_000)
            assert set(figures["statuses"]) <= {"200", "503"}
            memory.append(server.memory())
    print("MB after each 4,000:", memory)
    assert memory[-1] - memory[0] < 5


@pytest.mark.full
@pytest.mark.parametrize("query", ["", "?audio=wav"])
def test_sigterm_under_load_loses_nothing(query, loader):
    for _ in range(5):
        with Process("digits-speech") as server:
            loading = loader.start(server, connections=48, requests=10**6, seconds=20, query=query)
            time.sleep(3)
            server.terminate()
            figures = json.loads(loading.communicate(timeout=60)[0])
            assert server.wait() == (0, "")
        print(figures)
        assert set(figures["statuses"]) <= {"200", "503"}
        assert figures["statuses"]["200"] > 48
        assert (figures["lost"], figures["wrong"]) == (0, 0)
        assert figures["refused"] == 48
