"""What training minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..artifacts import LabelBank


class Objective:
    """Training loss: cross-entropy on logits, or smooth L1 to the class's label.

    Smooth L1 is the mean over batch and entries with beta 1 (Chen et al. 2021, released code).
    `smoothing` is the share of a one-hot target that goes to the other classes in equal parts.
    """

    def __init__(self, bank: LabelBank | None, device: torch.device, smoothing: float = 0.0) -> None:
        self.smoothing = smoothing
        self.labels = torch.from_numpy(bank.labels).to(device) if bank else None

    def __call__(self, output: Tensor, classes: Tensor) -> Tensor:
        """Loss of a batch: output as `Classifier` gives it, classes int64 [N]."""
        if self.labels is None:
            k = output.shape[1]  # the framework spreads its share over all classes, the true one included
            return F.cross_entropy(output, classes, label_smoothing=self.smoothing * k / (k - 1))
        return F.smooth_l1_loss(output, self.labels[classes])
