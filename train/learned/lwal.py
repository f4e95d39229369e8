"""Learning with Adaptive Labels (Yu & Verma): labels that are class means of the network's own outputs."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ...artifacts import LabelBank
from ...errors import VivavoceError
from ..objectives import Moment, Objective
from .registry import Request
from .setting_up import LEARNED
from .settings import ObjectiveSettings

SMOOTHING = 1e-6
NEAREST = 1e-12
"""Least squared distance: the root has no gradient at 0."""


class AdaptiveLabels(Objective):
    """Cross-entropy on minus the Euclidean distances to labels that are refreshed while training.

    In step t (over the whole run, from 0) the labels are refreshed if t >= w and (t - w) mod k = 0: the label
    of each class in the batch becomes the mean of its outputs, and the gradient flows through it as through
    the outputs. A class that the batch lacks keeps its label. Otherwise labels are constants. The repel loss
    is added in steps with a refresh: the mean over all pairs of the batch of the cosine similarity, with that
    of pairs of one class set to 0.

    Args:
        bank: labels at the start: rows of the identity, filled up with zeros.
        settings: of the objective.

    Source: Yu & Verma, section 3, and their code, which refreshes before the loss is computed, takes the
    batch's means rather than the epoch's, and averages over pairs where the paper sums.
    """

    labels: Tensor

    def __init__(self, bank: LabelBank, settings: ObjectiveSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("labels", torch.from_numpy(bank.labels.copy()))

    def forward(self, output: Tensor, classes: Tensor, moment: Moment | None = None) -> Tensor:
        """Mean loss of outputs [N, d] for classes int64 [N]; refreshes the labels when it is time."""
        labels = self.labels
        due = moment is not None and self.due(moment.step)
        if due:
            labels = self.refreshed(output, classes)
            self.labels.copy_(labels.detach())
        loss = F.cross_entropy(-distances(output, labels), classes, label_smoothing=SMOOTHING)
        return loss + self.settings.repel * repel(output, classes) if due and self.settings.repel else loss

    def due(self, step: int) -> bool:
        """Whether the labels are refreshed in a step, counted from 0."""
        late = step - self.settings.warm_up
        return late >= 0 and late % self.settings.refresh_every == 0

    def refreshed(self, output: Tensor, classes: Tensor) -> Tensor:
        """The labels [C, d] after this batch."""
        output = output.detach() if self.settings.detach_labels else output
        means, there = class_means(output, classes, len(self.labels))
        share = self.settings.label_momentum
        moved = means if share == 1 else share * means + (1 - share) * self.labels
        return torch.where(there[:, None], moved, self.labels)

    def bank(self, bank: LabelBank | None) -> LabelBank:
        """The labels as they are now.

        Raises:
            VivavoceError: they have all become equal.
        """
        assert bank is not None
        now = replace(bank, labels=self.labels.cpu().numpy().copy())
        if not now.temperature > 0:
            raise VivavoceError(
                "the learned labels have become one and the same; try a lower --learning-rate"
            )
        return now


def build(request: Request) -> AdaptiveLabels:
    """Make the objective."""
    assert request.bank is not None
    return AdaptiveLabels(request.bank, request.settings)


def start(classes: tuple[str, ...], size: int) -> LabelBank:
    """Labels before training: the first rows of the identity [C, size]."""
    return LabelBank(LEARNED, torch.eye(len(classes), size).numpy(), classes)


def class_means(output: Tensor, classes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean of the rows [N, d] of each class: [count, d], and whether the class has any, bool [count]."""
    belongs = F.one_hot(classes, count).to(output.dtype)
    number = belongs.sum(0)
    return belongs.T @ output / number.clamp(min=1)[:, None], number > 0


def distances(output: Tensor, labels: Tensor) -> Tensor:
    """Euclidean distance, not squared, of outputs [N, d] to labels [C, d]: [N, C]."""
    squared = (output**2).sum(1, keepdim=True) - 2 * output @ labels.T + (labels**2).sum(1)
    return squared.clamp(min=NEAREST).sqrt()


def repel(output: Tensor, classes: Tensor) -> Tensor:
    """Mean over all N * N entries of the cosine similarity, with pairs of one class set to 0."""
    unit = F.normalize(output, dim=1)
    other = classes[:, None] != classes[None, :]
    return ((unit @ unit.T) * other).mean()
