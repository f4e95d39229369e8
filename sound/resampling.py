"""Change of sampling rate by band-limited interpolation, in numpy alone."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor, gcd

import numpy as np

ZERO_CROSSINGS = 64
"""Zero crossings of the sinc on each side: how long the filter is."""
ROLLOFF = 0.9475937167399596
"""Cut-off as a share of the lower of the two Nyquist frequencies."""
BETA = 14.769656459379492
"""Shape of the Kaiser window."""


def resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Resample mono sound [n] from `rate` to `target` samples per second: float32 [ceil(n target / rate)].

    Each output is the input weighted by a Kaiser-windowed sinc centred on the output's instant (Smith and
    Gossett 1984, "A flexible sampling-rate conversion method"). The constants are those of the
    `kaiser_best` filter with which the label arrays of Chen et al. 2021 were made.
    """
    if rate == target:
        return samples.astype(np.float32)
    common = gcd(rate, target)
    phases, step = target // common, rate // common
    filters = _filters(phases, step)
    taps = filters.shape[1]
    padded = np.pad(samples.astype(np.float64), (taps // 2 - 1, taps // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    result = np.empty(ceil(len(samples) * target / rate), np.float32)
    for phase in range(min(phases, len(result))):
        count = len(result[phase::phases])
        first = phase * step // phases
        result[phase::phases] = windows[first : first + count * step : step][:count] @ filters[phase]
    return result


@lru_cache(maxsize=8)
def _filters(phases: int, step: int) -> np.ndarray:
    """One row of weights per distinct offset between output and input instants: float64 [phases, taps]."""
    scale = min(1.0, phases / step)
    reach = floor(ZERO_CROSSINGS / scale) + 1
    offset = (np.arange(phases) * step % phases) / phases
    distance = scale * (np.arange(1 - reach, reach + 1) - offset[:, None])
    inside = np.clip(1 - (distance / ZERO_CROSSINGS) ** 2, 0, None)
    window = np.where(np.abs(distance) < ZERO_CROSSINGS, np.i0(BETA * np.sqrt(inside)) / np.i0(BETA), 0)
    return scale * ROLLOFF * np.sinc(ROLLOFF * distance) * window
