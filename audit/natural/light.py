"""Light and colour as cameras and lamps change them. Images are float64 [C, H, W] in 0..1 (sRGB)."""

from __future__ import annotations

import numpy as np

from .draws import Draws
from .filters import grey_of


def exposure(image: np.ndarray, stops: float, draws: Draws) -> np.ndarray:
    """Expose by so many stops less: half of the light for each, before the sRGB curve."""
    return to_srgb(to_light(image) * 2.0**-stops)


def overexposure(image: np.ndarray, stops: float, draws: Draws) -> np.ndarray:
    """Expose by so many stops more; what is brighter than white is cut off."""
    return to_srgb(np.minimum(to_light(image) * 2.0**stops, 1))


def gamma(image: np.ndarray, exponent: float, draws: Draws) -> np.ndarray:
    """Raise the pixels to a power or, for every second image on average, to its inverse."""
    return image ** (exponent if draws.sign() > 0 else 1 / exponent)


def high_contrast(image: np.ndarray, factor: float, draws: Draws) -> np.ndarray:
    """Draw all pixels away from their channel's mean."""
    mean = image.mean((1, 2), keepdims=True)
    return (image - mean) * factor + mean


def fade(image: np.ndarray, share: float, draws: Draws) -> np.ndarray:
    """Mix the image with its luminance: a share of 1 leaves no colour."""
    return (1 - share) * image + share * grey_of(image)


def hue(image: np.ndarray, degrees: float, draws: Draws) -> np.ndarray:
    """Turn the colours of YIQ by an angle, either way at random. Luminance and grey images stay."""
    if len(image) == 1:
        return image
    angle = np.deg2rad(degrees * draws.sign())
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    return np.einsum("ij,jhw->ihw", np.linalg.inv(yiq) @ turn @ yiq, image)


def white_balance(image: np.ndarray, stops: float, draws: Draws) -> np.ndarray:
    """Red up and blue down by so many stops (a lamp), or the other way round (shade), at random."""
    if len(image) == 1:
        return image
    way = stops * draws.sign()
    gains = 2.0 ** np.array([way, 0, -way])
    return to_srgb(np.minimum(to_light(image) * gains[:, None, None], 1))


def colour_order(image: np.ndarray, draws: Draws) -> np.ndarray:
    """Blue for red: the mistake of feeding BGR where RGB is expected. Grey images stay as they are."""
    return image[::-1]


def to_light(image: np.ndarray) -> np.ndarray:
    """Undo the sRGB curve (IEC 61966-2-1)."""
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def to_srgb(light: np.ndarray) -> np.ndarray:
    """Apply the sRGB curve."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)
