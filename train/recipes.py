"""Training recipes: data, not code."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from ..errors import VivavoceError


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to train: stochastic gradient descent with momentum under a schedule."""

    name: str
    epochs: int
    learning_rate: float
    schedule: Literal["steps", "one-cycle"]
    batch_size: int = 128
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    drops: tuple[float, ...] = (0.5, 0.75)
    """`steps`: shares of the epochs after which the rate falls to a tenth."""
    warmup: float = 0.2
    """`one-cycle`: share of the steps in which the rate rises from near zero; then a cosine down."""
    crop_padding: int = 4
    """Random crops of the image padded with zeros by this many pixels; 0: none."""
    flip: bool = True
    """Random horizontal flips."""

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step, counted from 0 over the whole run."""
        if self.schedule == "steps":
            epoch = step // steps_per_epoch
            return self.learning_rate * 0.1 ** sum(epoch >= round(d * self.epochs) for d in self.drops)
        done = (step + 1) / (self.epochs * steps_per_epoch)
        if done < self.warmup:
            return self.learning_rate * done / self.warmup
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)))


RECIPES = {
    # Chen et al. 2021, section 4: category 200 epochs, high-dimensional labels 600, drops at 50 % and 75 %.
    "paper": Recipe("paper", epochs=600, learning_rate=0.1, schedule="steps"),
    "paper-category": Recipe("paper-category", epochs=200, learning_rate=0.1, schedule="steps"),
    "fast": Recipe(
        "fast", epochs=30, learning_rate=0.1, schedule="one-cycle", nesterov=True, weight_decay=5e-4
    ),
}


def resolve(name: str, has_bank: bool, **changes: object) -> Recipe:
    """The recipe called `name` with the given fields changed (None: as the recipe says).

    `paper` for a model without a label bank is the paper's shorter schedule.

    Raises:
        VivavoceError: no such recipe, or a field out of range.
    """
    if name == "paper" and not has_bank:
        name = "paper-category"
    if name not in RECIPES:
        raise VivavoceError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    recipe = msgspec.structs.replace(RECIPES[name], **{k: v for k, v in changes.items() if v is not None})
    for field in ("epochs", "batch_size", "learning_rate"):
        if not getattr(recipe, field) > 0:
            raise VivavoceError(f"{field.replace('_', ' ')} must be positive, not {getattr(recipe, field)}")
    return recipe
