"""Addresses at which there is no Ray cluster, and no Ray: one line, soon."""

import socket
import time

import pytest

from vivavoce import cluster
from vivavoce.cluster import Cluster
from vivavoce.errors import VivavoceError


@pytest.fixture(autouse=True)
def _no_cluster_here(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    pytest.importorskip("ray")


@pytest.fixture
def port():
    """A port of this machine where somebody listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refused(address):
    started = time.monotonic()
    with pytest.raises(VivavoceError) as caught:
        Cluster(address)
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_nobody_answers(scheme, port):
    assert "no Ray cluster answers" in refused(f"{scheme}127.0.0.1:1")
    assert "timed out" in refused(f"{scheme}127.0.0.1:{port}")


def test_somebody_else_answers():
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            line, _ = server.accept()
            with line:
                line.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        threading.Thread(target=greet, daemon=True).start()
        assert "not a Ray cluster" in refused(f"127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize("address", ["", "here", "here:", "here:door", "127.0.0.1", ":6379", "ray://"])
def test_no_address_at_all(address):
    assert "HOST:PORT" in refused(address)


def test_auto_without_a_cluster(monkeypatch, tmp_path):
    assert "ray start --head" in refused("auto")
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    assert "ray start --head" in refused("auto"), "what a cluster that was killed left behind does not count"
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "no Ray cluster answers at 127.0.0.1:1" in refused("auto")
    assert "no Ray cluster answers at 127.0.0.1:1" in refused(None)


def test_no_ray(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert 'pip install "vivavoce[ray]"' in refused("auto")
