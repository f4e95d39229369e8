"""A moving average of a network's weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from .model import Classifier


class Average:
    """An exponential moving average of weights and batch statistics.

    Its memory grows with the steps, min(decay, (1 + t) / (10 + t)), so that it soon forgets the
    untrained weights.

    Args:
        model: the network that is trained; not changed.
        decay: share of the average that one step keeps, once it has warmed up.
    """

    def __init__(self, model: Classifier, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay, self.steps = decay, 0
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        self.floats = [p for p in pairs if p[0].is_floating_point()]
        self.counts = [p for p in pairs if not p[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the trained network's present weights."""
        kept = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_([a for a, _ in self.floats], [b for _, b in self.floats], 1 - kept)  # pyright: ignore
        for mine, theirs in self.counts:
            mine.copy_(theirs)
        self.steps += 1

    def tensors(self) -> dict[str, Tensor]:
        """What `restore` needs to go on."""
        return {**self.model.state_dict(), "steps": torch.tensor(self.steps)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to an earlier state."""
        state = dict(tensors)
        self.steps = int(state.pop("steps"))
        self.model.load_state_dict(state)
