"""Label Embedding Network (Sun et al.): a table of soft labels learned beside the classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model import Classifier
from ..objectives import Moment, Objective
from .registry import Request

TEMPERATURE = 2.0
ALPHA = 0.9
"""Certainty of the true class above which the second head is held back."""
BETA = 0.5
"""Share of the one-hot target."""


class LabelEmbedding(Objective):
    """A second head on detached features teaches a table of soft labels, which teaches the first head.

    With o1 the network's logits, o2 those of the second head, e the row of the true class in the table (the
    identity at the start), H(p, q) = -sum p log softmax(q), m whether o2 is right, t = 2:

        0.5 CE(o1, y) + 0.5 mean H(softmax(e), o1) + CE(o2, y)
        + sum m H(softmax(o2 / t), e) / (sum m + 1e-8) + sum max(0, softmax(o2)[y] - 0.9)

    where softmax(e) and softmax(o2 / t) are targets that no gradient goes through.

    Args:
        model: the network, whose encoder's features are looked at.
        classes: number of classes.
    """

    def __init__(self, model: Classifier, classes: int) -> None:
        super().__init__()
        self.second = nn.Linear(model.encoder.features, classes)
        self.table = nn.Parameter(torch.eye(classes))
        self._features: Tensor | None = None
        model.encoder.register_forward_hook(self._look)

    def _look(self, encoder: nn.Module, inputs: object, features: Tensor) -> None:
        if encoder.training:
            self._features = features.detach().float()

    def forward(self, output: Tensor, classes: Tensor, moment: Moment | None = None) -> Tensor:
        """Mean loss of logits [N, K] for classes int64 [N]; when only judging, cross-entropy."""
        if moment is None:
            return F.cross_entropy(output, classes)
        assert self._features is not None
        return sum(self.terms(output, self.second(self._features), classes), torch.zeros(()))

    def terms(self, first: Tensor, second: Tensor, classes: Tensor) -> tuple[Tensor, ...]:
        """The five terms for the logits [N, K] of both heads, in the order of the formula."""
        rows = self.table[classes]
        right = self.counted(second, classes)
        soft = (second / TEMPERATURE).softmax(1).detach()
        return (
            BETA * F.cross_entropy(first, classes),
            (1 - BETA) * cross_entropy(rows.softmax(1).detach(), first).mean(),
            F.cross_entropy(second, classes),
            (right * cross_entropy(soft, rows)).sum() / (right.sum() + 1e-8),
            self.certainty(second, classes),
        )

    def counted(self, second: Tensor, classes: Tensor) -> Tensor:
        """Which images teach the table, 0 or 1 [N]: those that the second head has right."""
        return (second.argmax(1) == classes).float()

    def certainty(self, second: Tensor, classes: Tensor) -> Tensor:
        """What is taken off for certainty of the true class beyond `ALPHA`, summed over the batch."""
        sure = second.softmax(1).gather(1, classes[:, None])[:, 0]
        return (sure - ALPHA).clamp(min=0).sum()


def cross_entropy(target: Tensor, logits: Tensor) -> Tensor:
    """H(target, softmax(logits)) of each row: [N, K], [N, K] -> [N]."""
    return -(target * logits.log_softmax(1)).sum(1)


def build(request: Request) -> LabelEmbedding:
    """Make the objective."""
    return LabelEmbedding(request.model, request.model.classes)
