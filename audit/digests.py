"""Digests of audited images: whether two audits saw the same pixels and labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from ..images import Fit, ImageSet

READ = 64
"""Images in memory at a time."""


def image_digest(pixels: np.ndarray, label: int) -> str:
    """SHA-256 of one image at the model's input size, uint8 [height, width, channels], and its label."""
    return hashlib.sha256(pixels.tobytes() + int(label).to_bytes(8, "little")).hexdigest()


def image_digests(images: ImageSet, indices: np.ndarray, fit: Fit) -> Iterator[str]:
    """The digests of the images at `indices`, int64 [n], read for this.

    Raises:
        VivavoceError: an image cannot be read.
    """
    for first in range(0, len(indices), READ):
        part = indices[first : first + READ]
        for pixels, label in zip(images.pixels(part, fit), images.labels[part], strict=True):
            yield image_digest(pixels, label)


def joint_digest(digests: Iterable[str]) -> str:
    """SHA-256 over all audited images, in order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()
