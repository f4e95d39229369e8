"""What training minimises."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..artifacts import LabelBank
from .model import LabelAnswers
from .recipes import Recipe


@dataclass(frozen=True)
class Moment:
    """Where in the run a training step is."""

    epoch: int
    """Counted from 0."""
    step: int
    """Over the whole run, counted from 0."""
    indices: Tensor
    """Which training images the batch is made of, int64 [n], on the CPU."""


class Objective(nn.Module):
    """A loss; its parameters are trained with the network's, its buffers kept with the checkpoint.

    `forward(output, classes, moment)` gives the mean loss of a batch; `moment` is None when the model is
    judged and not trained.
    """

    fixed_batches = False
    """Whether every epoch must go through the same batches in the same order."""

    def bank(self, bank: LabelBank | None) -> LabelBank | None:
        """The labels that predictions are compared with now, given those at the start."""
        return bank


class LogitObjective(Objective):
    """Cross-entropy on logits.

    `smoothing` is the share of a one-hot target that goes to the other classes in equal parts.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, output: Tensor, classes: Tensor, moment: Moment | None = None) -> Tensor:
        """Mean loss of logits [N, K] for classes int64 [N]."""
        k = output.shape[1]  # the framework spreads its share over all classes, the true one included
        return F.cross_entropy(output, classes, label_smoothing=self.smoothing * k / (k - 1))


class LabelObjective(Objective):
    """Smooth L1 to the class's label, and, where the recipe says so, cross-entropy on the distances.

    Smooth L1 is the mean over batch and entries with beta 1 in the bank's units (Chen et al. 2021,
    released code). On its own it weighs a hopeless image as much as one that is nearly right;
    cross-entropy on `scores` does not, and learns several times faster.
    """

    def __init__(self, bank: LabelBank, device: torch.device, recipe: Recipe) -> None:
        super().__init__()
        self.labels = torch.from_numpy(bank.labels).to(device)
        self.answers = LabelAnswers(bank).to(device)
        self.regression = recipe.regression / (bank.spread if recipe.label_scaling else 1.0)
        self.cross_entropy, self.smoothing = recipe.cross_entropy, recipe.label_smoothing

    def forward(self, output: Tensor, classes: Tensor, moment: Moment | None = None) -> Tensor:
        """Mean loss of predicted labels [N, *label shape] for classes int64 [N]."""
        loss = self.regression * F.smooth_l1_loss(output, self.labels[classes])
        if self.cross_entropy:
            scores = self.answers.scores(output)
            loss = loss + self.cross_entropy * F.cross_entropy(
                scores, classes, label_smoothing=self.smoothing
            )
        return loss
