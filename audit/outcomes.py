"""What attacks did to images: an outcome per attack and epsilon, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .attacks.base import Ball
from .attacks.catalogue import ATTACKS
from .digests import joint_digest
from .examples import Example
from .protocol import counts

FLAGS = ("right", "near", "rejected", "misled", "reached", "rounded")
NUMBERS = ("moved", "smallest")
IMAGE = np.dtype([*((flag, np.bool_) for flag in FLAGS), *((name, np.float32) for name in NUMBERS)])
"""What one attack at one epsilon did to one image; the attributes of `Outcome` say what each field means."""


class _Field:
    """The field of an outcome's images that the attribute is named after."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, outcome: Outcome, owner: type) -> np.ndarray:
        return outcome.images[self.name]


@dataclass
class Outcome:
    """One attack at one epsilon on n images."""

    attack: str
    targeted: bool
    epsilon: float
    ball: Ball
    images: np.ndarray
    """`IMAGE` [n]. The attributes below are views of its fields: writing to them writes here."""
    queries: int = 0
    gradients: int = 0
    seconds: float = 0.0
    right = _Field()
    """bool [n]: the decision is still the true class. False where it was wrong before the attack."""
    near = _Field()
    """bool [n]: the prediction is still within the threshold of the true label."""
    rejected = _Field()
    """bool [n]: the prediction is within the threshold of no label."""
    misled = _Field()
    """bool [n]: the decision is wrong, and the prediction within the threshold of that wrong label."""
    reached = _Field()
    """bool [n]: the decision is the target class."""
    rounded = _Field()
    """bool [n]: like `right`, after the adversarial image was rounded to 8-bit pixels."""
    moved = _Field()
    """float32 [n]: size of the change in the ball's norm; 0 where the image was not attacked."""
    smallest = _Field()
    """float32 [n]: size of the smallest change that breaks the image, in units of epsilon, whatever the ball;
    infinite where none was found, 0 where the clean image is wrong or the attack looks for none."""


TALLIES = ("queries", "gradients", "seconds")
"""Fields that count the cost of the attack."""


@dataclass
class Evaluation:
    """What a protocol found on one model and one data set."""

    indices: np.ndarray
    """int64 [n]: the audited images' places in the data set."""
    labels: np.ndarray
    """int64 [n]: their true classes."""
    decisions: np.ndarray
    """int64 [n]: the classes decided on the clean images."""
    near: np.ndarray
    """bool [n]: clean prediction within the threshold of the true label."""
    outcomes: list[Outcome] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    """SHA-256 of each audited image's pixels and label."""
    examples: list[Example] = field(default_factory=list)

    @property
    def right(self) -> np.ndarray:
        """bool [n]: decided correctly on the clean image."""
        return self.decisions == self.labels

    @property
    def digest(self) -> str:
        """SHA-256 over all audited images."""
        return joint_digest(self.digests)

    def at(self, places: np.ndarray) -> Evaluation:
        """The evaluation of some of its images, in the order of their places, int64 [m].

        The cost of the attacks stays that of all images.
        """
        now = {int(place): k for k, place in enumerate(places)}
        return Evaluation(
            self.indices[places],
            self.labels[places],
            self.decisions[places],
            self.near[places],
            [replace(outcome, images=outcome.images[places]) for outcome in self.outcomes],
            [self.digests[place] for place in places],
            [replace(e, place=now[e.place]) for e in self.examples if e.place in now],
        )

    def broken(self, ensemble: bool) -> list[np.ndarray]:
        """The images that each row broke itself: bool [n].

        In an ensemble a row starts with what the rows before it left, and those of the smaller epsilons; the
        largest epsilon, which comes first, starts with all.
        """
        found = [self.right & ~outcome.right for outcome in self.outcomes]
        if not ensemble:
            return found
        before: dict[bool, np.ndarray] = {}
        largest = max((outcome.epsilon for outcome in self.outcomes), default=0.0)
        order = sorted(range(len(found)), key=lambda k: self.outcomes[k].epsilon)
        for k in order:
            chain = self.outcomes[k].epsilon == largest
            standing = before.get(chain, self.right)
            before[chain] = standing & self.outcomes[k].right
            found[k] = standing & ~self.outcomes[k].right
        return found

    @property
    def smallest(self) -> np.ndarray | None:
        """float32 [n]: the smallest of all, as in `Outcome`; None if no attack looks for it."""
        found = [o.smallest for o in self.outcomes if ATTACKS[o.attack].minimal]
        return np.min(found, axis=0) if found else None

    def robust(self, epsilon: float | None = None) -> np.ndarray:
        """Images that survived every attack at one epsilon (the largest): bool [n].

        The released code's variants of attacks do not count: they may leave the range of pixels.
        """
        chosen = max(o.epsilon for o in self.outcomes) if epsilon is None else epsilon
        return np.all([o.right for o in self.outcomes if o.epsilon == chosen and counts(o.attack)], axis=0)
