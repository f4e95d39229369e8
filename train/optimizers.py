"""The optimizer of a recipe, and its state as plain tensors."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .recipes import Recipe

ADAM_EPSILON = 1e-7
"""Keras's, with which the adaptive-label figures were made."""
MOMENTUM, STATE = "momentum", "optimizer"
BUFFER = "momentum_buffer"


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build what the recipe asks for."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(
            parameters, lr=recipe.learning_rate, eps=ADAM_EPSILON, weight_decay=recipe.weight_decay
        )
    return torch.optim.SGD(
        parameters,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )


def pack(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state by name: `momentum.<parameter>`, and `optimizer.<parameter>.<what>` for anything else."""
    state = optimizer.state_dict()["state"]
    return {
        f"{MOMENTUM}.{k}" if what == BUFFER else f"{STATE}.{k}.{what}": value
        for k, values in state.items()
        for what, value in values.items()
    }


def unpack(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give the optimizer back the state that `pack` named; other names are left alone."""
    whole = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        head, _, rest = name.partition(".")
        if head == MOMENTUM:
            state.setdefault(int(rest), {})[BUFFER] = value
        elif head == STATE:
            k, _, what = rest.partition(".")
            state.setdefault(int(k), {})[what] = value
    whole["state"] = state
    optimizer.load_state_dict(whole)
