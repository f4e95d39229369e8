"""Averages of a network's weights over the steps of training."""

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


class Lookahead:
    """Slow weights that follow the trained ones and pull them back (Zhang et al. 2019).

    Every few steps the slow weights and batch statistics move towards the trained ones, which then start
    again from there. The share that the slow ones keep of themselves rises with the third power of the steps,
    to 0.95^5 (Jordan 2024). After the last step the trained weights are set to the slow ones.

    Args:
        model: the network that is trained, and changed by `update`.
        every: steps from one pull to the next.
        steps: of the whole run.
    """

    KEPT_AT_END = 0.95**5

    def __init__(self, model: Classifier, every: int, steps: int) -> None:
        self.fast = {k: t for k, t in model.state_dict().items() if t.is_floating_point()}
        self.slow = {k: t.clone() for k, t in self.fast.items()}
        self.every, self.steps = every, steps

    @torch.no_grad()
    def update(self, done: int) -> None:
        """Follow the training after `done` steps."""
        slow, fast = [*self.slow.values()], [*self.fast.values()]
        if done % self.every == 0:
            kept = self.KEPT_AT_END * (done / self.steps) ** 3
            torch._foreach_lerp_(slow, fast, 1 - kept)  # pyright: ignore
        if done % self.every == 0 or done == self.steps:
            torch._foreach_copy_(fast, slow)  # pyright: ignore

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to earlier slow weights."""
        for name, tensor in self.slow.items():
            tensor.copy_(tensors[name])
