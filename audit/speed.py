"""Latency of a model for one image, relative to a fixed reference network."""

from __future__ import annotations

import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

import msgspec
import numpy as np

from ..artifacts import ExportedModel, open_model

REFERENCE = "digits-category"
"""The shipped model that is timed alternately; its latency measures how fast the machine is."""
BUDGET = 1.0
"""Seconds to spend."""
ROUNDS = 25
_MEASURED: WeakKeyDictionary[ExportedModel, Speed] = WeakKeyDictionary()


class Speed(msgspec.Struct, frozen=True):
    """Fastest of alternating runs on one image, milliseconds: what others on the machine add is left out."""

    milliseconds: float
    reference: float
    """The same of `digits-category`, which makes figures of two machines comparable."""

    @property
    def relative(self) -> float:
        """Time in units of the reference's."""
        return self.milliseconds / self.reference


def measure(model: ExportedModel) -> Speed:
    """The speed of an opened model, which is measured once, however many audits ask for it."""
    if model not in _MEASURED:
        _MEASURED[model] = _measured(model)
    return _MEASURED[model]


def _measured(model: ExportedModel) -> Speed:
    """Time a model and the reference in turn on one image, for about a second."""
    own, reference = (_runner(m) for m in (model, open_model(REFERENCE)))
    times: tuple[list[float], list[float]] = ([], [])
    started = time.perf_counter()
    for _ in range(ROUNDS):
        for run, found in zip((own, reference), times, strict=True):
            before = time.perf_counter()
            run()
            found.append(1000 * (time.perf_counter() - before))
        if time.perf_counter() - started > BUDGET:
            break
    return Speed(*(round(min(found), 3) for found in times))


def _runner(model: ExportedModel) -> Callable[[], object]:
    """One run on one image, warm."""
    entry = model.manifest.input
    image = np.full((1, entry.channels, entry.height, entry.width), 0.5, np.float32)
    model.answer(image)
    return lambda: model.answer(image)
