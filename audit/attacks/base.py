"""What an attack is, and the box that none may leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..target import Target


@dataclass(frozen=True)
class Goal:
    """What an attack is after, one class per image."""

    classes: np.ndarray
    """int64 [N]: the class to get away from, or to get to."""
    targeted: bool

    @property
    def direction(self) -> np.float32:
        """+1 to climb the loss of the true class, -1 to descend that of a target class."""
        return np.float32(-1 if self.targeted else 1)


class Attack(Protocol):
    """Turns images into adversarial images, seeing nothing of the model but a `Target`."""

    name: str

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, radii: Sequence[np.ndarray]
    ) -> Iterator[np.ndarray]:
        """Attack images [N, C, H, W] in 0..1 within each radius in turn.

        Args:
            target: the model under attack.
            images: the clean images.
            goal: where to.
            radii: half-widths of the l-infinity box per channel, float32 [C, 1, 1] each.

        Yields:
            Adversarial images [N, C, H, W], one batch per radius.
        """
        ...


def confine(candidates: np.ndarray, images: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Bring candidates back into the l-infinity box around `images` and into 0..1.

    Every attack's result passes here before it is judged. A pixel that is not a number becomes the
    clean one.
    """
    candidates = np.where(np.isfinite(candidates), candidates, images)
    return np.clip(np.clip(candidates, images - radius, images + radius), 0, 1).astype(np.float32)
