"""What training minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..artifacts import LabelBank
from .model import LabelAnswers
from .recipes import Recipe


class LogitObjective:
    """Cross-entropy on logits.

    `smoothing` is the share of a one-hot target that goes to the other classes in equal parts.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        self.smoothing = smoothing

    def __call__(self, output: Tensor, classes: Tensor) -> Tensor:
        """Mean loss of logits [N, K] for classes int64 [N]."""
        k = output.shape[1]  # the framework spreads its share over all classes, the true one included
        return F.cross_entropy(output, classes, label_smoothing=self.smoothing * k / (k - 1))


class LabelObjective:
    """Smooth L1 to the class's label, and, where the recipe says so, cross-entropy on the distances.

    Smooth L1 is the mean over batch and entries with beta 1 in the bank's units (Chen et al. 2021,
    released code). On its own it weighs a hopeless image as much as one that is nearly right;
    cross-entropy on `scores` does not, and learns several times faster.
    """

    def __init__(self, bank: LabelBank, device: torch.device, recipe: Recipe) -> None:
        self.labels = torch.from_numpy(bank.labels).to(device)
        self.answers = LabelAnswers(bank).to(device)
        self.regression = recipe.regression / (bank.spread if recipe.label_scaling else 1.0)
        self.cross_entropy = recipe.cross_entropy

    def __call__(self, output: Tensor, classes: Tensor) -> Tensor:
        """Mean loss of predicted labels [N, *label shape] for classes int64 [N]."""
        loss = self.regression * F.smooth_l1_loss(output, self.labels[classes])
        if self.cross_entropy:
            loss = loss + self.cross_entropy * F.cross_entropy(self.answers.scores(output), classes)
        return loss


Objective = LogitObjective | LabelObjective


def make_objective(
    bank: LabelBank | None, device: torch.device, recipe: Recipe, smoothing: float
) -> Objective:
    """The loss of a model on labels, or without a bank on logits."""
    return LabelObjective(bank, device, recipe) if bank else LogitObjective(smoothing)
