"""Random crops and flips, a whole batch at a time on its device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def augment(images: Tensor, padding: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Crop images [N, C, H, W] of any type out of a zero border of `padding` pixels, and flip half of them.

    Crop and flip are one gather, of whole pixels: the result lies in memory as [N, H, W, C]. Offsets
    and flips are drawn on the CPU from `generator`, so that every device sees the same ones.
    """
    n, _, height, width = images.shape
    device = images.device
    if not padding and not flip:
        return images
    columns = torch.arange(width).expand(n, width)
    rows = torch.arange(height).expand(n, height)
    if padding:
        top, left = torch.randint(2 * padding + 1, (2, n, 1, 1), generator=generator)[..., 0]
        rows, columns = rows + top, columns + left
    if flip:
        chosen = torch.rand(n, generator=generator) < 0.5
        columns = torch.where(chosen[:, None], columns.flip(1), columns)
    border = F.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
    every = torch.arange(n, device=device)[:, None, None]
    rows, columns = rows.to(device)[:, :, None], columns.to(device)[:, None, :]
    return border[every, rows, columns].permute(0, 3, 1, 2)
