"""Learns the patterns of universal attacks, on images that are not judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import VivavoceError
from ..images import Fit, ImageSet
from ..images.imageset import to_float
from .attacks.catalogue import ATTACKS
from .attacks.streams import Streams
from .attacks.universal import Universal
from .protocol import Protocol
from .target import Target

MOST = 1000
"""Images to learn from."""
MEMORY = 256_000_000
"""Bytes that their pixels may take."""
PASSES = 64
"""Over these images, each in a different order; then the orders repeat."""
TOGETHER = 64
"""Images of one step."""


def learns(protocol: Protocol) -> bool:
    """Whether an attack of the protocol needs images to learn from."""
    return any(isinstance(ATTACKS[name], Universal) for name in protocol.attacks)


def judged(images: ImageSet, limit: int, seed: int, protocol: Protocol) -> np.ndarray:
    """The images that an audit judges: a stratified sample of `limit` (0: all), int64 [n].

    Where attacks learn, it leaves half of the data set to learn from.
    """
    if not learns(protocol):
        return images.sample(limit, seed)
    return images.sample(min(limit or len(images), max(len(images) // 2, 1)), seed)


def lessons(images: ImageSet, indices: np.ndarray, fit: Fit, seed: int) -> np.ndarray:
    """The images that attacks learn from: as many as are judged, and none of those, int64 [m]."""
    most = min(len(indices), MOST, max(MEMORY // (fit.height * fit.width * fit.channels), 1))
    others = np.setdiff1d(np.arange(len(images)), indices)
    return np.sort(np.random.default_rng([seed, 1]).permutation(others)[:most])


def named_patterns(target: Target, protocol: Protocol) -> dict[str, np.ndarray]:
    """The patterns of a protocol by attack and epsilon: `patch-universal@0.05`."""
    found = {}
    for name in protocol.attacks:
        attack = ATTACKS[name]
        for epsilon in protocol.epsilons:
            if isinstance(attack, Universal) and epsilon > 0:
                key = attack.key(protocol.ball(epsilon, target.model.manifest.input))
                found[f"{name}@{epsilon:.4g}"] = target.patterns[key]
    return found


def learn(
    target: Target,
    images: ImageSet,
    training: np.ndarray,
    protocol: Protocol,
    seed: int,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[tuple[str, ...], np.ndarray]:
    """Learn the pattern of every universal attack of the protocol at every epsilon, for `Target.patterns`.

    Args:
        target: the model under attack.
        images: the data set.
        training: int64 [m], its images to learn from.
        protocol: attacks and epsilons.
        seed: decides the order of the images and every random draw.
        progress: called with each attack before it learns.

    Raises:
        VivavoceError: there are no images to learn from.
    """
    found: dict[tuple[str, ...], np.ndarray] = {}
    if not learns(protocol):
        return found
    entry = target.model.manifest.input
    if not len(training):
        raise VivavoceError(f"{images.name}: universal attacks learn from half of the images; give more")
    pixels, labels = images.pixels(training, Fit.of(entry)), images.labels[training]
    together = min(TOGETHER, len(training))
    rng = np.random.default_rng([seed, 2])
    order = np.concatenate([rng.permutation(len(training)) for _ in range(PASSES)])

    def lesson(number: int) -> tuple[np.ndarray, np.ndarray, Streams]:
        some = np.take(order, np.arange(number * together, (number + 1) * together), mode="wrap")
        streams = Streams.of(seed, f"learning {number}", training[some])
        return to_float(pixels[some]), labels[some], streams

    for name in protocol.attacks:
        attack = ATTACKS[name]
        for epsilon in protocol.epsilons:
            if isinstance(attack, Universal) and epsilon > 0:
                progress(name)
                ball = protocol.ball(epsilon, entry)
                found[attack.key(ball)] = attack.learn(target, lesson, ball)
    return found
