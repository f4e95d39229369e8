"""The label decoder: feature vector -> a picture of the label."""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import VivavoceError

WIDTH = 64


class LabelDecoder(nn.Module):
    """Dense layer and transposed convolutions up to the label's size (Chen et al. 2021, table 5).

    As in the released code: batch normalisation and LeakyReLU stand before the dense layer and after
    every transposed convolution but the last, whose output is bare, because labels reach below zero.
    The first kernel makes 4x4 (3x3 for sizes such as 48); each further one doubles the side and halves
    the channels.

    Args:
        features: length of the encoder's vector.
        size: side of the square label, 3 or 4 times a power of two (64 in the paper).
    """

    def __init__(self, features: int, size: int = 64) -> None:
        super().__init__()
        first = 3 if size % 3 == 0 else 4
        doublings = (size // first).bit_length() - 1
        if size != first * 2**doublings or not 1 <= doublings <= 6:
            raise VivavoceError(f"label size {size}: the decoder makes 16, 32, 48, 64, 96, 128, …")
        self.dense = nn.Sequential(nn.BatchNorm1d(features), nn.LeakyReLU(0.01), nn.Linear(features, WIDTH))
        layers: list[nn.Module] = [nn.ConvTranspose2d(WIDTH, WIDTH, first, 1, 0)]
        width = WIDTH
        for step in range(doublings):
            narrower = 1 if step == doublings - 1 else max(width // 2, 1)
            layers += [
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.01),
                nn.ConvTranspose2d(width, narrower, 4, 2, 1),
            ]
            width = narrower
        self.picture = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [N, features] to labels [N, size, size], in the bank's units."""
        return self.picture(self.dense(features)[:, :, None, None]).squeeze(1)
