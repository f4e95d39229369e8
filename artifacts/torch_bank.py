"""A label bank in torch, the twin of `bank_graph`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .encoder_bank import EncoderBank
from .metrics import TINY_DISTANCE, TINY_SQUARE, weights
from .preprocessing import MetricName

if TYPE_CHECKING:
    import torch


class BankAnswers:
    """Maps embeddings [N, D] to `(scores [N, K], label [N, *label shape], loss [N, K])`.

    Args:
        bank: fitted to the encoder.
        device: where the embeddings are.
    """

    def __init__(self, bank: EncoderBank, device: torch.device) -> None:
        import torch

        self.bank, held = bank, bank.held
        self.labels = held.labels
        self.classes, self.several, width = held.rows.shape
        self.rows = torch.from_numpy(held.rows.reshape(-1, width)).to(device)
        members = None if held.members is None else np.array(held.members)
        self.weights = torch.from_numpy(weights(self.classes, self.several, members)).to(device)

    def __call__(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Scores, label and loss of embeddings."""
        near = nearness(self.bank.metric, points, self.rows).reshape(-1, self.classes, self.several)
        near = near.amax(2) if self.bank.pool == "max" else (near * self.weights).sum(2)
        label = points.reshape(-1, *self.bank.held.shape)
        return near * (self.bank.scale or 1), label, self.bank.measure.offset - near


def nearness(metric: MetricName, points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """How near embeddings [N, D] are to rows [R, D]: [N, R], larger is nearer; as `metrics.nearness`."""
    if metric == "cosine":
        points, rows = (v / (v.square().sum(1, keepdim=True) + TINY_SQUARE).sqrt() for v in (points, rows))
    if metric in ("cosine", "dot"):
        return points @ rows.T
    if metric == "hamming":
        if rows.min() >= 0:
            points, rows = 2 * points - 1, 2 * rows - 1
        return points @ rows.T / (2 * rows.shape[1]) - 0.5
    if metric == "smooth-l1":
        apart = points[:, None] - rows
        clipped = apart.clamp(-1, 1)
        return -(clipped * (apart - clipped / 2)).mean(2)
    centre = rows.double().mean(0).to(rows.dtype)
    points, rows = points - centre, rows - centre
    lengths = points.square().sum(1, keepdim=True) + rows.square().sum(1)
    square = (lengths - 2 * points @ rows.T).relu()
    return -square if metric == "squared-l2" else -(square + TINY_DISTANCE).sqrt()
