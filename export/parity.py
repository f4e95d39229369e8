"""Does the exported file answer as the trained model does?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..artifacts import ExportedModel, decide
from ..errors import VivavoceError
from ..sound.playback import waveform
from ..train.lazy import LazyImages
from ..train.model import Contract

IMAGES = 256
"""Compare on at least this many images."""
TOLERANCE = 1e-4
"""Largest difference of scores allowed, as a share of their range."""

SOUNDS = 8
"""Compare the sound of this many of them."""
SAME_SOUND = 0.99
"""Least correlation between the file's own sound and `playback`'s."""


@dataclass(frozen=True)
class Parity:
    """Agreement of a file with the model it was exported from."""

    images: int
    difference: float
    """Largest difference of scores over their range."""
    decisions: float
    """Share of images with the same decision."""


def compare(model: ExportedModel, contract: Contract, images: np.ndarray, batch: int = 64) -> Parity:
    """Compare a file with the trained model on images float32 [N, C, H, W] in 0..1.

    Raises:
        VivavoceError: they disagree.
    """
    theirs = np.concatenate(
        [model.answer(images[i : i + batch]).scores for i in range(0, len(images), batch)]
    )
    with torch.no_grad():
        parts = torch.from_numpy(images).split(batch)
        ours = np.concatenate([contract.eval()(part)[0].numpy() for part in parts])
    difference = float(np.abs(theirs - ours).max() / np.ptp(ours))
    agreement = float((decide(theirs) == decide(ours)).mean())
    if not difference <= TOLERANCE or agreement < 1:
        raise VivavoceError(
            f"the exported file does not answer as the trained model: scores differ by {difference:.1e} of "
            f"their range, {agreement:.2%} of decisions agree on {len(images)} images; nothing was written"
        )
    return Parity(len(images), difference, agreement)


def compare_sound(model: ExportedModel, images: np.ndarray) -> float:
    """Compare the sounds that a file makes itself with those of `sound.playback`.

    Returns:
        The least correlation between the two over the images float32 [N, C, H, W].

    Raises:
        VivavoceError: it is below `SAME_SOUND`, or a sound has another length.
    """
    label, outputs = model.manifest.label, model.answer(images)
    assert label is not None
    assert label.mel is not None
    assert outputs.label is not None
    assert model.voice is not None
    least = 1.0
    for k, predicted, sound in zip(decide(outputs.scores), outputs.label, model.voice(outputs), strict=True):
        wanted = waveform(predicted, label.frames[k] if label.frames else None, label.mel)
        least = min(least, _alike(wanted, sound))
    if not least >= SAME_SOUND:
        raise VivavoceError(
            f"the file's own sound is not that of its predictions: correlation {least:.3f} on {len(images)} "
            "images; nothing was written"
        )
    return least


def _alike(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two sounds; 1 for the same silence, 0 for sounds of unlike length."""
    if len(a) != len(b):
        return 0.0
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    return float(np.corrcoef(a, b)[0, 1])


def parity_images(test: np.ndarray | LazyImages, seed: int) -> np.ndarray:
    """Test images uint8 [N, C, H, W] as float32 in 0..1, filled up with noisy copies to at least `IMAGES`."""
    images = test[: max(IMAGES, min(len(test), 512))].astype(np.float32) / 255
    short = IMAGES - len(images)
    if short > 0:
        generator = np.random.default_rng(seed)
        copies = images[generator.integers(0, len(images), short)]
        noise = generator.normal(0, 0.1, copies.shape).astype(np.float32)
        images = np.concatenate([images, np.clip(copies + noise, 0, 1)])
    return images
