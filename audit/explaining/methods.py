"""The methods by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ...errors import VivavoceError
from ...text import plain, suggestion
from .activation_maps import grad_cam, hires_cam
from .perturbing import occlusion, rise
from .pixelwise import gradient_times_input, integrated_gradients, saliency, smoothgrad
from .subject import Subject


@dataclass(frozen=True)
class Choices:
    """What methods can be given."""

    layer: str | None = None
    """For Grad-CAM and HiResCAM."""
    seed: int = 0


class Found(NamedTuple):
    """What a method says of a batch of N images."""

    attribution: np.ndarray
    """float32 [N, C, H, W], or [N, 1, H, W] from methods that know no channels."""
    gap: np.ndarray | None = None
    """The completeness error of integrated gradients, float64 [N]."""


@dataclass(frozen=True)
class Method:
    """A way to explain."""

    name: str
    title: str
    run: Callable[[Subject, np.ndarray, np.ndarray, Choices], Found]
    needs: Literal["gradient", "layer", "answers"]
    signed: bool
    """Whether what speaks against the class is negative; otherwise all is positive."""

    def heat(self, attribution: np.ndarray) -> np.ndarray:
        """One number per pixel, float32 [N, H, W]: the sum over channels, or the largest size of any."""
        return attribution.sum(1) if self.signed else np.abs(attribution).max(1)


def _layer(choices: Choices) -> str:
    assert choices.layer is not None
    return choices.layer


METHODS = {
    m.name: m
    for m in (
        Method(
            "grad-cam", "Grad-CAM",
            lambda s, x, c, o: Found(grad_cam(s, x, c, _layer(o))), "layer", False,
        ),
        Method(
            "hirescam", "HiResCAM",
            lambda s, x, c, o: Found(hires_cam(s, x, c, _layer(o))), "layer", False,
        ),
        Method("saliency", "saliency", lambda s, x, c, o: Found(saliency(s, x, c)), "gradient", False),
        Method(
            "gradient-x-input", "gradient x input",
            lambda s, x, c, o: Found(gradient_times_input(s, x, c)), "gradient", True,
        ),
        Method(
            "integrated-gradients", "integrated gradients",
            lambda s, x, c, o: Found(*integrated_gradients(s, x, c)), "gradient", True,
        ),
        Method(
            "smoothgrad", "SmoothGrad",
            lambda s, x, c, o: Found(smoothgrad(s, x, c, seed=o.seed)), "gradient", False,
        ),
        Method("occlusion", "occlusion", lambda s, x, c, o: Found(occlusion(s, x, c)), "answers", True),
        Method("rise", "RISE", lambda s, x, c, o: Found(rise(s, x, c, seed=o.seed)), "answers", True),
    )
}  # fmt: skip
FALLBACK = METHODS["occlusion"]
"""What explains a model without a gradient."""


def find(name: str) -> Method:
    """Look a method up by name.

    Raises:
        VivavoceError: no method has this name.
    """
    if name in METHODS:
        return METHODS[name]
    if name in ("guided-backpropagation", "guided-backprop", "guided-grad-cam"):
        raise VivavoceError(
            f"no method {name}: its pictures hardly change when the weights are random, so they do not show "
            "what the model looks at; try integrated-gradients or grad-cam"
        )
    raise VivavoceError(f"no method {plain(name)!r}; {suggestion(name, METHODS)}")
