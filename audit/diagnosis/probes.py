"""The fixed set of images that the diagnosis looks at, and how to run an attack on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...images import Fit
from ..attacks.base import Attack, Ball, Goal
from ..attacks.streams import Streams
from ..judge import judge
from ..outcomes import Evaluation
from ..target import Target

IMAGES = 64
"""Images of the diagnosis, as long as they are small."""
FEWEST = 16
"""Images of the diagnosis, however large they are."""
VALUES = 2_500_000
"""Pixel values of all of them, between the two: 50 images at 128 pixels."""


@dataclass
class Probes:
    """The fixed set of images, and how to run an attack on it."""

    target: Target
    clean: np.ndarray
    """float32 [n, C, H, W], all decided correctly."""
    labels: np.ndarray
    places: np.ndarray
    """int64 [n]: places among the audited images."""
    indices: np.ndarray
    """int64 [n]: places in the data set, for the random streams."""
    ball: Ball
    seed: int
    known: dict[str, bytes] = field(default_factory=dict)
    """What is found already, by what determines it; an interrupted audit goes on from it."""
    keep: Callable[[], None] = lambda: None
    """Called after each attack, to save what is known."""

    def broken_by(
        self, attack: Attack, ball: Ball | None = None, chosen: np.ndarray | None = None, name: str = ""
    ) -> np.ndarray:
        """Which images an attack breaks, confirmed by the file: bool [n].

        Args:
            attack: the attack.
            ball: None: that of all probes.
            chosen: bool [n], the images that it runs on; None: all. The others are not broken.
            name: of this use of the attack; it tells attacks apart that differ in their settings alone.
        """
        ball = ball or self.ball
        places = np.arange(len(self.labels)) if chosen is None else np.flatnonzero(chosen)
        radius = ball.radius.ravel().tolist()
        key = f"{name} {attack.name} {ball.norm} {radius} {self.indices[places].tolist()}"
        found = np.zeros(len(self.labels), bool)
        if key in self.known and len(self.known[key]) == len(places):
            found[places] = np.frombuffer(self.known[key], np.uint8) == 1
            return found
        size = self.target.at_a_time or len(places)
        for part in (places[k : k + size] for k in range(0, len(places), size)):
            found[part] = self._broken(attack, ball, part)
        self.known[key] = found[places].tobytes()
        self.keep()
        return found

    def decision_on_grey(self) -> int:
        """The class that the file decides for on a grey picture."""
        if "grey" not in self.known:
            grey = np.full((1, *self.clean.shape[1:]), 0.5, np.float32)
            decided = judge(self.target, grey, self.labels[:1]).decisions[0]
            self.known["grey"] = int(decided).to_bytes(8, "little", signed=True)
        return int.from_bytes(self.known["grey"], "little", signed=True)

    def _broken(self, attack: Attack, ball: Ball, part: np.ndarray) -> np.ndarray:
        clean, labels = self.clean[part], self.labels[part]
        streams = Streams.of(self.seed, f"diagnosis {attack.name}", self.indices[part])
        (result,) = attack.results(self.target, clean, Goal(labels, None), [ball], streams)
        adversarial = ball.settle(result, clean, self.target.grid)
        return judge(self.target, adversarial, labels).decisions != labels

    @property
    def parts(self) -> list[slice]:
        """The images in batches of the audit's size."""
        count = len(self.labels)
        size = self.target.at_a_time or count
        return [slice(k, k + size) for k in range(0, count, size)]

    def scaled(self, factor: float) -> Ball:
        """The ball, larger."""
        return Ball(self.ball.norm, self.ball.radius * np.float32(factor))


def telling_epsilon(evaluation: Evaluation) -> float:
    """The epsilon at which about half of the images survive the protocol, where probes differ most."""
    half = evaluation.right.mean() / 2
    grid = sorted({o.epsilon for o in evaluation.outcomes if o.epsilon > 0} or {0.0})
    return min(grid, key=lambda epsilon: abs(evaluation.robust(epsilon).mean() - half))


def choose(evaluation: Evaluation, seed: int, count: int) -> np.ndarray:
    """Places of the diagnosis's images among the audited ones: `count` right ones, drawn from the seed."""
    right = np.flatnonzero(evaluation.right)
    return np.sort(np.random.default_rng(seed).permutation(right)[:count])


def most(fit: Fit) -> int:
    """Images of the diagnosis at this size: fewer of large ones."""
    return max(FEWEST, min(IMAGES, VALUES // (fit.height * fit.width * fit.channels)))
