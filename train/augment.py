"""Random crops and flips, a whole batch at a time on its device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def augment(images: Tensor, padding: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Crop images [N, C, H, W] out of a zero border of `padding` pixels, and flip half of them.

    Offsets and flips are drawn on the CPU from `generator`, so that every device sees the same ones.
    """
    n, _, height, width = images.shape
    if padding:
        top, left = torch.randint(2 * padding + 1, (2, n, 1, 1), generator=generator).to(images.device)
        rows = top + torch.arange(height, device=images.device)[None, :, None]
        columns = left + torch.arange(width, device=images.device)[None, None, :]
        border = F.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
        images = border[torch.arange(n, device=images.device)[:, None, None], rows, columns].permute(
            0, 3, 1, 2
        )
    if flip:
        chosen = torch.rand(n, generator=generator).to(images.device) < 0.5
        images = torch.where(chosen[:, None, None, None], images.flip(3), images)
    return images
