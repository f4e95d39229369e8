"""Numbers as colours, without matplotlib."""

from __future__ import annotations

import numpy as np

ONE_SIDED = "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4"
"""Inferno (van der Walt & Smith 2015), from nothing to most."""
TWO_SIDED = "2166ac 67a9cf d1e5f0 f7f7f7 fddbc7 ef8a62 b2182b"
"""ColorBrewer's RdBu (Harrower & Brewer 2003) turned round: blue speaks against the class, red for it."""


def scale(heat: np.ndarray) -> float:
    """The number that gets the last colour: the largest size, or 1 where all are zero."""
    return float(np.abs(heat).max()) or 1.0


def colour(heat: np.ndarray, signed: bool) -> np.ndarray:
    """Colours of heat [...]: uint8 [..., 3]. Zero is the middle if it is signed, else the first colour."""
    share = heat / scale(heat)
    return shade((1 + share) / 2 if signed else np.abs(share), signed)


def shade(share: np.ndarray, signed: bool) -> np.ndarray:
    """Colours of shares 0..1 of the scale: uint8 [..., 3]."""
    stops = np.array([list(bytes.fromhex(c)) for c in (TWO_SIDED if signed else ONE_SIDED).split()])
    places = np.linspace(0, 1, len(stops))
    channels = [np.interp(share, places, stops[:, k]) for k in range(3)]
    return np.rint(np.stack(channels, -1)).astype(np.uint8)


def overlay(image: np.ndarray, heat: np.ndarray, signed: bool) -> np.ndarray:
    """The image in grey [H, W, 3] under the colours of its heat, which cover more where there is more."""
    grey = image.mean(-1, keepdims=True).repeat(3, -1)
    cover = 0.75 * np.sqrt(np.abs(heat) / scale(heat))[..., None]
    return np.rint((1 - cover) * grey + cover * colour(heat, signed)).astype(np.uint8)
