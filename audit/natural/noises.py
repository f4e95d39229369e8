"""Noise, as Hendrycks and Dietterich 2019 define it. Images are float64 [C, H, W] in 0..1."""

from __future__ import annotations

import numpy as np

from .draws import Draws


def gaussian_noise(image: np.ndarray, deviation: float, draws: Draws) -> np.ndarray:
    """Add normal noise, as in poor light."""
    return image + draws.normal(0, deviation, image.shape)


def speckle_noise(image: np.ndarray, deviation: float, draws: Draws) -> np.ndarray:
    """Add normal noise that grows with the pixel."""
    return image + image * draws.normal(0, deviation, image.shape)


def impulse_noise(image: np.ndarray, share: float, draws: Draws) -> np.ndarray:
    """Set a share of the values to black or white."""
    hit, salt = draws.uniform(shape=image.shape) <= share, draws.uniform(shape=image.shape) <= 0.5
    return np.where(hit, salt.astype(float), image)


def shot_noise(image: np.ndarray, photons: float, draws: Draws) -> np.ndarray:
    """Count photons: a Poisson number with mean `photons` times the pixel, over `photons`."""
    levels, which = np.unique(image, return_inverse=True)
    rates = levels * photons
    counts = np.arange(int(photons + 12 * np.sqrt(photons) + 30))
    logs = np.concatenate([[0], np.cumsum(np.log(counts[1:]))])
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = np.where(counts == 0, 0, counts * np.log(rates[:, None])) - rates[:, None] - logs
    # The distribution functions of all rates, one above the other, are one rising sequence.
    tables = np.minimum(np.cumsum(np.exp(exponents), axis=1), 1)
    tables[:, -1] = 1
    steps = (tables + np.arange(len(rates))[:, None]).ravel()
    which = which.reshape(image.shape)
    found = np.searchsorted(steps, which + draws.uniform(shape=image.shape), side="right")
    return (found - which * len(counts)) / photons
