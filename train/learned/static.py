"""Fixed word vectors as labels: the baseline that Yu & Verma call StaticLabel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...artifacts import LabelBank
from ..objectives import Moment, Objective
from .registry import Request


class StaticLabels(Objective):
    """Huber loss with delta 1 to the class's vector, mean over batch and entries."""

    labels: Tensor

    def __init__(self, bank: LabelBank) -> None:
        super().__init__()
        self.register_buffer("labels", torch.from_numpy(bank.labels), persistent=False)

    def forward(self, output: Tensor, classes: Tensor, moment: Moment | None = None) -> Tensor:
        """Mean loss of predicted labels [N, *label shape] for classes int64 [N]."""
        return F.huber_loss(output, self.labels[classes])


def build(request: Request) -> StaticLabels:
    """Make the objective."""
    assert request.bank is not None
    return StaticLabels(request.bank)
