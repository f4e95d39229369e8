"""The optimizer of a recipe, and its state as plain tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .model import Classifier
from .recipes import Recipe

ADAM_EPSILON = 1e-7
"""Keras's, with which the adaptive-label figures were made."""
MOMENTUM, STATE, SCALE = "momentum", "optimizer", "scale"
BUFFER = "momentum_buffer"


def make_optimizer(
    recipe: Recipe, model: Classifier, others: Iterable[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """Build what the recipe asks for.

    Args:
        recipe: rates, decay, momentum.
        model: the network.
        others: more parameters to train, those of the objective.
    """
    parameters = _groups(recipe, model, others)
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


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate; parts of the network have their multiples of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[SCALE]


def _groups(recipe: Recipe, model: Classifier, others: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """The parameters by the multiple of the learning rate that they learn at."""
    norms = [m for m in model.encoder.modules() if isinstance(m, _BatchNorm)]
    biases = {id(m.bias) for m in norms} if recipe.bias_scale != 1 else set()
    head = {id(p) for p in model.head.parameters()} if recipe.head_scale != 1 else set()
    usual, quick, last = [], [], []
    for parameter in model.parameters():
        if parameter.requires_grad:
            which = quick if id(parameter) in biases else last if id(parameter) in head else usual
            which.append(parameter)
    decay = recipe.weight_decay
    groups = [
        {"params": [*usual, *others], SCALE: 1.0},
        {"params": quick, SCALE: recipe.bias_scale, "weight_decay": decay / recipe.bias_scale},
        {"params": last, SCALE: recipe.head_scale},
    ]
    return [group for group in groups if group["params"]]


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
