"""Filters of images float64 [C, H, W], with the borders of the libraries that the published code uses."""

from __future__ import annotations

import numpy as np


def gaussian(
    image: np.ndarray, deviation: tuple[float, float], mode: str = "edge", truncate: float = 4.0
) -> np.ndarray:
    """Gaussian filter as scipy's and scikit-image's, along the last two axes.

    Args:
        image: float64 [..., H, W].
        deviation: in pixels, of rows and of columns.
        mode: `edge` repeats the border (scipy's `nearest`), `symmetric` mirrors it (`reflect`).
        truncate: where the kernel ends, in standard deviations.
    """
    for axis, sigma in zip((-2, -1), deviation, strict=True):
        reach = int(truncate * sigma + 0.5)
        if not reach:
            continue
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        image = along(image, kernel / kernel.sum(), axis, mode)
    return image


def along(image: np.ndarray, kernel: np.ndarray, axis: int, mode: str) -> np.ndarray:
    """Correlate one axis with a kernel of odd length."""
    reach, axis = len(kernel) // 2, axis % image.ndim
    pads = [(reach, reach) if a == axis else (0, 0) for a in range(image.ndim)]
    padded = np.moveaxis(np.pad(image, pads, mode=mode), axis, 0)  # type: ignore[call-overload]
    length = image.shape[axis]
    result = kernel[0] * padded[:length]
    for k in range(1, len(kernel)):
        result += kernel[k] * padded[k : k + length]
    return np.moveaxis(result, 0, axis)


def correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Correlate [..., H, W] with a kernel of odd sides, the border mirrored without its last pixel.

    As OpenCV's `filter2D`. By Fourier transform.
    """
    up, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    pads = [(0, 0)] * (image.ndim - 2) + [(up, up), (left, left)]
    padded = np.pad(image, pads, mode="reflect")
    shape = padded.shape[-2:]
    transformed = np.fft.rfft2(padded) * np.conj(np.fft.rfft2(kernel, shape))
    return np.fft.irfft2(transformed, shape)[..., : image.shape[-2], : image.shape[-1]]


def zoomed(image: np.ndarray, factor: float) -> np.ndarray:
    """Enlarge the middle of [..., H, W] linearly; at least as large as before, from the top left corner.

    As the published corruptions do it, with scipy's `zoom`, whose first and last pixels stay in the corners.
    """
    height, width = image.shape[-2:]
    sides = [int(np.ceil(side / float(factor))) for side in (height, width)]
    top, left = (height - sides[0]) // 2, (width - sides[1]) // 2
    cut = image[..., top : top + sides[0], left : left + sides[1]]
    for axis, side in zip((-2, -1), sides, strict=True):
        wanted = max(round(side * factor), 1)
        places = np.arange(wanted) * ((side - 1) / max(wanted - 1, 1))
        low = np.minimum(places.astype(int), max(side - 2, 0))
        share = places - low
        share = share[:, None] if axis == -2 else share
        high = np.minimum(low + 1, side - 1)
        cut = np.take(cut, low, axis) * (1 - share) + np.take(cut, high, axis) * share
    return cut


def sampled(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, outside: str) -> np.ndarray:
    """Read [C, H, W] at places [H', W'] between pixels, bilinearly.

    Args:
        image: the image.
        rows: float64 [H', W'].
        columns: float64 [H', W'].
        outside: what is beyond the border: `mirror` (with the last pixel; scipy's `reflect`), `mirror-101`
            (without it; OpenCV's default), or `black`.
    """
    height, width = image.shape[1:]
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - top, columns - left
    result = np.zeros((len(image), *rows.shape))
    for dy, dx, weight in (
        (0, 0, (1 - down) * (1 - right)),
        (0, 1, (1 - down) * right),
        (1, 0, down * (1 - right)),
        (1, 1, down * right),
    ):
        y, x = top + dy, left + dx
        if outside == "black":
            weight = np.where((y >= 0) & (y < height) & (x >= 0) & (x < width), weight, 0)
            y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
        else:
            y, x = (_mirrored(a, n, outside) for a, n in ((y, height), (x, width)))
        result += weight * image[:, y, x]
    return result


def _mirrored(places: np.ndarray, length: int, outside: str) -> np.ndarray:
    """Whole places folded back into 0..length - 1."""
    if length == 1:
        return np.zeros_like(places)
    period = 2 * length if outside == "mirror" else 2 * length - 2
    folded = places % period
    return np.minimum(folded, (2 * length - 1 if outside == "mirror" else 2 * length - 2) - folded)


def moved(image: np.ndarray, matrix: np.ndarray, outside: str) -> np.ndarray:
    """An affine map of [C, H, W]: `matrix` [2, 3] gives for (row, column, 1) the place that is read."""
    height, width = image.shape[1:]
    y, x = np.meshgrid(np.arange(height, dtype=float), np.arange(width, dtype=float), indexing="ij")
    rows = matrix[0, 0] * y + matrix[0, 1] * x + matrix[0, 2]
    columns = matrix[1, 0] * y + matrix[1, 1] * x + matrix[1, 2]
    return sampled(image, rows, columns, outside)


def shifted(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """Shift [..., H, W] by whole pixels, borders repeated."""
    height, width = image.shape[-2:]
    y = np.clip(np.arange(height) - down, 0, height - 1)
    x = np.clip(np.arange(width) - right, 0, width - 1)
    return image[..., y[:, None], x]


def smear(image: np.ndarray, radius: int, deviation: float, degrees: float) -> np.ndarray:
    """Motion blur of [..., H, W] along a direction, to one side, as ImageMagick's."""
    width = 2 * radius + 1
    kernel = np.exp(-(np.arange(width) ** 2) / (2 * deviation**2))
    kernel /= kernel.sum()
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    result = np.zeros_like(image)
    for k in range(width):
        down, right = -int(np.ceil(k * sine - 0.5)), -int(np.ceil(k * cosine - 0.5))
        result += kernel[k] * shifted(image, down, right)
    return result


def eight_bit(image: np.ndarray) -> np.ndarray:
    """Values of 0..1 as uint8, rounded down as the published corruptions do."""
    return np.floor(np.clip(np.nan_to_num(image), 0, 1) * 255 + 1e-6).astype(np.uint8)


def grey_of(image: np.ndarray) -> np.ndarray:
    """Luminance [H, W] of [C, H, W] (ITU-R BT.601)."""
    return image[0] if len(image) == 1 else np.tensordot([0.299, 0.587, 0.114], image, 1)
