"""The memory of a GPU, from a driver that is played here."""

import ctypes
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vivavoce.audit import room
from vivavoce.gradient import card

GB = 10**9


class Driver:
    """The calls of CUDA's driver; `failing` fails."""

    def __init__(self, free: int, failing: str = "") -> None:
        self.free, self.failing, self.calls = free, failing, []

    def __getattr__(self, name: str):
        def call(*given) -> int:
            self.calls.append(name)
            if name == "cuMemGetInfo_v2":
                for pointer, value in zip(given, (self.free, 80 * GB), strict=True):
                    ctypes.cast(pointer, ctypes.POINTER(ctypes.c_size_t))[0] = value
            return 100 if name == self.failing else 0

        return call


def test_the_free_memory_is_that_of_the_driver(monkeypatch):
    driver = Driver(40 * GB)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert card.free_on_card() == 40 * GB
    assert card.card_budget() == 28 * GB
    assert driver.calls[-2:] != []
    assert driver.calls.count("cuDevicePrimaryCtxRelease_v2") == 2


@pytest.mark.parametrize(
    "failing", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuMemGetInfo_v2"]
)
def test_without_an_answer_a_small_card_is_assumed(failing, monkeypatch):
    driver = Driver(40 * GB, failing)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert card.card_budget() == int(0.7 * card.UNKNOWN)
    kept = driver.calls.count("cuDevicePrimaryCtxRetain") - (failing == "cuDevicePrimaryCtxRetain")
    assert driver.calls.count("cuDevicePrimaryCtxRelease_v2") == kept

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert card.free_on_card() is None


def test_the_batch_follows_the_card_and_the_host(monkeypatch, small):
    """At most what a card holds, and what the attacks' arrays on the host leave room for."""
    from vivavoce.artifacts import open_model
    from vivavoce.audit.target import Target

    model = open_model(small)
    assert Target(model).fitting_batch() == room.LARGEST
    gradient = Target(model)._make_gradient()
    cast(Any, model).device = "cuda"  # after the sessions are made
    monkeypatch.setattr(room, "card_budget", lambda: 30 * GB)
    assert room.most(model, gradient, room.room(model)) == 512
    assert room.most(model, gradient, 260_000_000) < 64
    sizes = SimpleNamespace(channels=3, height=224, width=224)
    large: Any = SimpleNamespace(device="cuda", manifest=SimpleNamespace(input=sizes))
    monkeypatch.setattr(room, "OnnxModel", SimpleNamespace)
    monkeypatch.setattr(room, "fitting", lambda gradient, budget, largest: largest)
    assert room.most(large, None, 30 * GB) == 64
