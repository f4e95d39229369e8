"""The encoder of Jordan 2024: six convolutions behind a whitening layer, quick to train."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (64, 256, 256)
"""Channels of the three groups in the paper's airbench94."""

PATCH = 2
"""Height and width of the whitening layer's filters."""

RIDGE = 5e-4
"""Added to the eigenvalues of the patches, so that directions that hardly vary are not blown up."""

NOTHING = 1e-5
"""Directions of a smaller eigenvalue, such as the colours of grey images, are not used: a channel that never
changes has no deviation to normalise by, and its gradients grow a hundredfold in every layer."""

SAMPLES = 5000
"""Images that the whitening layer is computed from."""

MOMENTUM = 0.4
"""Share of a new batch in the running statistics: high, because a run has few steps."""

SCALE = 1 / 9
"""Factor on the features, and so on the logits."""


class Group(nn.Module):
    """Two 3x3 convolutions; the maps are halved after the first."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels_in, channels)
        self.bn1 = _normalisation(channels)
        self.conv2 = _convolution(channels, channels)
        self.bn2 = _normalisation(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, channels_in, H, W] to [N, channels, H // 2, W // 2]."""
        x = F.gelu(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.bn2(self.conv2(x)))


class Airbench(nn.Module):
    """The network of airbench94 (Jordan 2024, section 3, arXiv 2404.00498) without its last layer.

    A 2x2 convolution whitens patches: its filters are the principal directions of the training patches, each
    over its standard deviation, and their negatives. `whiten` sets them; they are not trained, their biases
    are. The 3x3 convolutions start as the identity as far as their shapes allow. Batch normalisation has a
    bias and no scale.

    Args:
        widths: channels of the three groups.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        directions = 3 * PATCH * PATCH
        self.whitening = nn.Conv2d(3, 2 * directions, PATCH)
        self.whitening.weight.requires_grad_(False)
        before = (2 * directions, *widths[:-1])
        self.stages = nn.Sequential(*(Group(a, b) for a, b in zip(before, widths, strict=True)))
        self.features = widths[-1]

    @property
    def levels(self) -> tuple[nn.Module, ...]:
        """The three groups; their outputs are maps [N, C, h, w]."""
        return tuple(self.stages)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images [N, 3, H, W], sides at least 16, to features [N, last width]."""
        if torch.is_autocast_enabled(x.device.type):
            # The filters magnify rounding in their input up to 40 times: bfloat16 would be noise.
            with torch.autocast(x.device.type, enabled=False), _exact():
                x = self.whitening(x.float())
        else:
            x = self.whitening(x)
        x = F.adaptive_max_pool2d(self.stages(F.gelu(x)), 1)
        return torch.flatten(x, 1) * SCALE

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the whitening filters from normalised images float32 [N, 3, H, W].

        The second moments are not centred, as in the author's code. Directions in which the patches do not
        vary are replaced by random mixtures of the others.
        """
        patches = images.double().unfold(2, PATCH, 1).unfold(3, PATCH, 1)
        flat = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, self.whitening.weight[0].numel())
        values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
        filters = (vectors / (values + RIDGE).sqrt()).T.flip(0)
        alive = filters[values.flip(0) > NOTHING]
        if 0 < len(alive) < len(filters):
            generator = torch.Generator().manual_seed(0)
            mixed = torch.randn(len(filters) - len(alive), len(alive), generator=generator).to(alive)
            filters = torch.cat([alive, mixed / mixed.norm(dim=1, keepdim=True) @ alive])
        self.whitening.weight.copy_(torch.cat([filters, -filters]).view_as(self.whitening.weight))


def _exact() -> AbstractContextManager[None]:
    """Without TF32 on a GPU."""
    now = torch.backends.cudnn
    return now.flags(enabled=True, benchmark=now.benchmark, deterministic=now.deterministic, allow_tf32=False)


def _convolution(channels_in: int, channels: int) -> nn.Conv2d:
    made = nn.Conv2d(channels_in, channels, 3, padding="same", bias=False)
    nn.init.dirac_(made.weight[:channels_in].detach())
    return made


def _normalisation(channels: int) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(channels, momentum=MOMENTUM)
    made.weight.requires_grad_(False)
    return made
