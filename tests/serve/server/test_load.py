"""The server under load from a second process: no errors, even waits, flat memory, nothing lost."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import Process, digit


class Loader:
    """Starts `load.py` beside the server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._images = []
        for k in range(10):
            path = folder / f"{k}.png"
            path.write_bytes(digit(k, 1))
            self._images.append(str(path))

    def start(self, server: Process, **plan) -> subprocess.Popen[str]:
        plan = {"seconds": 120, "rate": 0, "query": "", "images": self._images, "port": server.port} | plan
        path = self._folder / "plan.json"
        path.write_text(json.dumps(plan))
        script = Path(__file__).parents[2] / "load.py"
        return subprocess.Popen([sys.executable, script, path], stdout=subprocess.PIPE, text=True)

    def run(self, server: Process, **plan) -> dict:
        done, _ = self.start(server, **plan).communicate(timeout=600)
        figures = json.loads(done)
        print(plan, figures)
        return figures


@pytest.fixture
def loader(tmp_path) -> Loader:
    return Loader(tmp_path)


def test_a_short_saturation(loader):
    with Process("digits-speech") as server:
        figures = loader.run(server, connections=100, requests=1_500)
    assert set(figures["statuses"]) <= {"200", "503"}
    assert figures["statuses"]["200"] > 500
    assert (figures["lost"], figures["refused"], figures["wrong"]) == (0, 0, 0)


@pytest.mark.full
@pytest.mark.parametrize("query", ["", "?audio=wav"])
def test_saturation_then_half_the_load(query, loader):
    """At half of what the server can do, one request in a hundred waits ten times the median at most."""
    count = 6_000 if not query else 600
    with Process("digits-speech") as server:
        loader.run(server, connections=8, requests=count // 10, query=query)
        full = loader.run(server, connections=48, requests=count, query=query)
        crowded = loader.run(server, connections=200, requests=count, query=query)
        half = loader.run(server, connections=32, requests=count // 2, rate=full["rate"] / 2, query=query)
    for figures in (full, crowded, half):
        assert set(figures["statuses"]) <= {"200", "503"}
        assert (figures["lost"], figures["refused"], figures["wrong"]) == (0, 0, 0)
    assert "503" not in half["statuses"]
    assert half["p99"] < 10 * half["median"]


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
