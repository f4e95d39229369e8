"""One finished explanation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .methods import Method


@dataclass(frozen=True)
class Explanation:
    """Why a model gives an image a class, by one method."""

    file: str
    pixels: np.ndarray
    """uint8 [H, W, C]: what the model saw."""
    decision: str
    """The class that the model decides on."""
    goal: str
    """The class that is explained."""
    rival: str | None
    """The class that it is compared with."""
    probability: float
    """Softmax of the scores, of the explained class."""
    method: Method
    layer: str | None
    """For Grad-CAM and HiResCAM."""
    attribution: np.ndarray
    """float32 [C or 1, H, W]."""
    heat: np.ndarray
    """float32 [H, W]: the attribution of each pixel."""
    gap: float | None
    """The completeness error of integrated gradients, a share."""
    patch: str = ""
    """The part of the spoken word that is explained."""
    sound: np.ndarray | None = None
    """uint8 [bands, columns, 3]: the predicted spectrogram, pale outside the patch, low frequencies last."""

    @property
    def about(self) -> str:
        """What is explained: `cat`, or `cat and not dog`, and of which part of the word."""
        rival = f" and not {self.rival}" if self.rival else ""
        return self.goal + rival + (f" in {self.patch}" if self.patch else "")

    @property
    def how(self) -> str:
        """The method, with its layer and its error."""
        layer = f" at {self.layer}" if self.layer else ""
        gap = "" if self.gap is None else f", completeness error {self.gap:.1%}"
        flat = "" if self.heat.any() else ", zero everywhere"
        return f"{self.method.title}{layer}{gap}{flat}"

    @property
    def answer(self) -> str:
        """What the model says."""
        sure = f"{self.probability:.1%}"
        if self.decision == self.goal:
            return f"decided {self.decision} ({sure})"
        return f"decided {self.decision}, not {self.goal} ({sure})"
