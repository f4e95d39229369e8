"""Learning with Retrospection (Deng & Zhang): the network's own softened past answers as targets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..objectives import Moment, Objective
from .registry import Request

TEMPERATURE = 5.0
HIGHEST = 0.9
"""The largest weight that past answers may get."""
LENGTH = 1.2
"""The published weights reach `HIGHEST` at 240 of 200 epochs: beyond the end of the run."""


class Retrospection(Objective):
    """Cross-entropy, and the divergence from what the network answered some epochs ago.

    Answers are stored image by image, softened by the temperature, in epochs k, 2k, ... (counted from 1), as
    they come out of the training pass before its update. From epoch k + 1 on, with c = k * floor(e / k) and
    b = 0.9 c / (1.2 epochs), the loss is (1 - b) cross-entropy + b t^2 KL(stored || softmax(z / t)).

    Args:
        samples: number of training images.
        classes: number of classes.
        epochs: of the whole run.
        every: k, epochs between two stores.
    """

    stored: Tensor

    def __init__(self, samples: int, classes: int, epochs: int, every: int) -> None:
        super().__init__()
        self.epochs, self.every = epochs, every
        self.register_buffer("stored", torch.zeros(samples, classes))

    def forward(self, output: Tensor, classes: Tensor, moment: Moment | None = None) -> Tensor:
        """Mean loss of logits [N, K] for classes int64 [N]; when only judging, cross-entropy."""
        loss = F.cross_entropy(output, classes)
        if moment is None:
            return loss
        epoch = moment.epoch + 1
        places = moment.indices.to(self.stored.device)
        if epoch > self.every:
            weight = self.weight(epoch)
            loss = (1 - weight) * loss + weight * self.divergence(output, self.stored[places])
        if epoch % self.every == 0:
            self.stored[places] = (output.detach() / TEMPERATURE).softmax(1)
        return loss

    def weight(self, epoch: int) -> float:
        """Share of the past answers in an epoch, counted from 1."""
        return HIGHEST * self.every * (epoch // self.every) / (LENGTH * self.epochs)

    def divergence(self, output: Tensor, stored: Tensor) -> Tensor:
        """Mean KL divergence of the softened logits from stored answers [N, K], times t squared."""
        ours = (output / TEMPERATURE).log_softmax(1)
        return TEMPERATURE**2 * F.kl_div(ours, stored, reduction="batchmean")


def build(request: Request) -> Retrospection:
    """Make the objective."""
    every = request.settings.refresh_every
    return Retrospection(request.samples, request.model.classes, request.epochs, every)
