"""Random numbers for attacks: one stream per image, whatever batch the image is in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: what SplitMix64 adds between two outputs."""


@dataclass(frozen=True)
class Streams:
    """One random stream per image, a function of seed, attack and the image's place in its data set.

    A draw is computed, not taken from a state that moves on: number i of step s of an image with key k
    is output i of SplitMix64 (Steele, Lea and Flood 2014) started at mix(k xor mix(s)). So batch size,
    order and which other images are attacked change nothing, and a step can be drawn again.

    To use: give every draw of one attack on one image its own `step`; give every restart its own
    `fork`.
    """

    keys: np.ndarray
    """uint64 [N]."""

    @classmethod
    def of(cls, seed: int, attack: str, indices: np.ndarray) -> Streams:
        """The streams of the images at `indices` (int64 [N]) of a data set under one attack."""
        digest = hashlib.sha256(f"{seed} {attack}".encode()).digest()
        start = np.frombuffer(digest[:8], np.uint64)
        return cls(mix(start ^ mix(np.asarray(indices).astype(np.uint64))))

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, chosen: np.ndarray) -> Streams:
        """The streams of some of the images; `chosen` is an index or mask."""
        return Streams(self.keys[chosen])

    def fork(self, number: int) -> Streams:
        """Streams that share no draw with these, nor with those of another number."""
        return Streams(mix(~self.keys ^ mix(np.array([number], np.uint64))))

    def bits(self, step: int, count: int) -> np.ndarray:
        """Draw 64 random bits, `count` times for each image: uint64 [N, count]."""
        starts = mix(self.keys ^ mix(np.array([step], np.uint64)))
        return mix(starts[:, None] + GOLDEN * np.arange(1, count + 1, dtype=np.uint64))

    def uniform(self, step: int, shape: Sequence[int] = ()) -> np.ndarray:
        """Draw from 0 <= u < 1: float32 [N, *shape], multiples of 2^-24."""
        top = self.bits(step, math.prod(shape)) >> np.uint64(40)
        return (top.astype(np.float32) * np.float32(2**-24)).reshape(len(self), *shape)

    def integers(self, step: int, high: int, shape: Sequence[int] = ()) -> np.ndarray:
        """Draw from 0, ..., high - 1: int64 [N, *shape]; the bias is below high / 2^53."""
        top = (self.bits(step, math.prod(shape)) >> np.uint64(11)).astype(np.float64)
        return np.floor(top * 2.0**-53 * high).astype(np.int64).reshape(len(self), *shape)

    def signs(self, step: int, shape: Sequence[int] = ()) -> np.ndarray:
        """Draw -1 or +1: float32 [N, *shape]."""
        return (2 * self.integers(step, 2, shape) - 1).astype(np.float32)

    def normal(self, step: int, shape: Sequence[int] = ()) -> np.ndarray:
        """Draw from the standard normal distribution, by Box and Muller 1958: float32 [N, *shape]."""
        pairs = -(-math.prod(shape) // 2)
        top = (self.bits(step, 2 * pairs) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        radius = np.sqrt(-2 * np.log1p(-top[:, :pairs]))
        angle = 2 * np.pi * top[:, pairs:]
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return both[:, : math.prod(shape)].astype(np.float32).reshape(len(self), *shape)


def mix(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser, a bijection of uint64 in which every output bit depends on every input bit."""
    mixed = numbers + GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
