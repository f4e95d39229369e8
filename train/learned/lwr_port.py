"""Learning with Retrospection as the code of Yu & Verma has it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from .lwr import HIGHEST, Retrospection
from .registry import Request


class RetrospectionPort(Retrospection):
    """Differs from its own paper in four ways.

    The weight is 0.9 e / epochs and grows every epoch; the network's answers are not softened while the
    stored ones are; there is no factor t squared; and the batches are the same in every epoch.
    """

    fixed_batches = True

    def weight(self, epoch: int) -> float:
        """Share of the past answers in an epoch, counted from 1."""
        return HIGHEST * epoch / self.epochs

    def divergence(self, output: Tensor, stored: Tensor) -> Tensor:
        """Mean KL divergence of softmax(logits) from stored answers [N, K]."""
        return F.kl_div(output.log_softmax(1), stored, reduction="batchmean")


def build(request: Request) -> RetrospectionPort:
    """Make the objective."""
    every = request.settings.refresh_every
    return RetrospectionPort(request.samples, request.model.classes, request.epochs, every)
