"""Which attacks at which epsilons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from ..artifacts.manifest import Input
from ..errors import VivavoceError
from .attacks.base import Attack
from .attacks.fgsm import FGSM
from .attacks.iterative import Iterative

ATTACKS: dict[str, type[Attack]] = {"fgsm": FGSM, "iterative": Iterative}

Space = Literal["pixel", "normalized"]


class Protocol(msgspec.Struct, frozen=True):
    """Attacks, the grid of epsilons, and the units they are in."""

    name: str
    attacks: tuple[str, ...]
    epsilons: tuple[float, ...]
    """Half-widths of the l-infinity box, rising."""
    epsilon_space: Space
    """`pixel`: units of 0..1. `normalized`: after the model's own normalisation, so a channel's
    half-width in pixels is epsilon times its standard deviation."""
    targeted: tuple[bool, ...] = (False, True)
    norm: Literal["linf"] = "linf"

    def radius(self, epsilon: float, entry: Input) -> np.ndarray:
        """Half-width of the box in pixel units, per channel: float32 [C, 1, 1]."""
        std = entry.std if self.epsilon_space == "normalized" else (1.0,) * entry.channels
        return (epsilon * np.array(std)).astype(np.float32).reshape(-1, 1, 1)


PROTOCOLS = {
    # Chen et al. 2021, section 4.2: epsilon 0 to 0.3 by 0.05 on normalised images, 5 steps.
    "paper": Protocol("paper", ("fgsm", "iterative"), (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3), "normalized"),
}


def resolve(
    name: str, attacks: Sequence[str] = (), epsilons: Sequence[float] = (), space: str | None = None
) -> Protocol:
    """The protocol called `name`, with attacks, epsilons and their space replaced where given.

    Raises:
        VivavoceError: a name is unknown, or an epsilon negative or not a number.
    """
    if name not in PROTOCOLS:
        raise VivavoceError(f"no protocol {name!r}; there is {', '.join(PROTOCOLS)}")
    for attack in attacks:
        if attack not in ATTACKS:
            raise VivavoceError(f"no attack {attack!r}; there are {', '.join(ATTACKS)}")
    for epsilon in epsilons:
        if not 0 <= epsilon < np.inf:
            raise VivavoceError(f"epsilon must be 0 or more, not {epsilon:g}")
    if space not in (None, "pixel", "normalized"):
        raise VivavoceError(f"no epsilon space {space!r}; give pixel or normalized")
    changes = {
        "attacks": tuple(dict.fromkeys(attacks)),
        "epsilons": tuple(sorted(set(epsilons))),
        "epsilon_space": space,
    }
    return msgspec.structs.replace(PROTOCOLS[name], **{k: v for k, v in changes.items() if v})


def target_classes(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """A target class for every image of a data set, never the true one: int64 [N].

    Drawn for the whole set from the seed alone, so every model and every subset meets the same.
    """
    offsets = np.random.default_rng(seed).integers(1, classes, len(labels))
    return (labels + offsets) % classes
