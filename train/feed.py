"""Batches of training images on the device, as uint8."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from .data import Split
from .lazy import LazyImages


class Feed:
    """The images of a part: all on the device, or, when they are on disk, a batch ahead of the training.

    Args:
        part: the images.
        device: where batches are wanted.
    """

    def __init__(self, part: Split, device: torch.device) -> None:
        self.device = device
        self.classes = torch.from_numpy(part.classes).to(device)
        self.lazy = part.images if isinstance(part.images, LazyImages) else None
        self.images = None if self.lazy else torch.from_numpy(part.images).to(device)
        self.reader = ThreadPoolExecutor(1, "feed") if self.lazy else None

    def batches(self, order: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Images uint8 [n, 3, H, W] and classes int64 [n] for each tensor of indices, in order."""
        if self.images is not None:
            for chosen in order:
                there = chosen.to(self.device)
                yield self.images[there], self.classes[there]
            return
        assert self.lazy is not None
        assert self.reader is not None
        read = self.lazy.__getitem__
        waiting = [self.reader.submit(read, chosen.numpy()) for chosen in order[:2]]
        for k, chosen in enumerate(order):
            pixels = torch.from_numpy(waiting.pop(0).result()).to(self.device, non_blocking=True)
            if k + 2 < len(order):
                waiting.append(self.reader.submit(read, order[k + 2].numpy()))
            yield pixels, self.classes[chosen.to(self.device)]
