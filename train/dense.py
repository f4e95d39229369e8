"""The encoder of features: one dense layer, for texts that a language model has read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DROPOUT = 0.1


class Dense(nn.Module):
    """Dense 768, ReLU, batch normalisation, dropout (Yu & Verma, section 4.3, and their code).

    Args:
        size: entries of a feature vector.
    """

    features = 768
    levels: tuple[nn.Module, ...] = ()
    """None: there are no maps."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(size, self.features), nn.ReLU(), nn.BatchNorm1d(self.features), nn.Dropout(DROPOUT)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map features [N, size, 1, 1] to [N, 768]."""
        return self.layers(torch.flatten(x, 1))
