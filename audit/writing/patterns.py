"""What universal attacks learned, as pictures: patches to print, perturbations to look at."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...console import Losses, say
from ...errors import VivavoceError
from ...files import check_folder, make_folder, write_whole
from ..learning import learns
from ..protocol import Protocol
from ..run import Audit
from .outputs import prefix_of

SIDE = 512
"""Least side of a picture in pixels; small patterns are enlarged without smoothing."""
DPI = 150
"""So that a patch is about 9 cm wide in print, or as wide as the printer scales it."""


def check_patterns(folder: Path | None, protocols: Sequence[Protocol]) -> None:
    """Check that the folder can be made and that an attack learns a pattern.

    Raises:
        VivavoceError: one of the two fails.
    """
    if folder is None:
        return
    if not any(map(learns, protocols)):
        raise VivavoceError("--save-patterns needs --attack patch-universal or --attack universal")
    check_folder(folder)


def write_patterns(audits: Sequence[Audit], folder: Path | None, losses: Losses) -> None:
    """Write `<attack>-<size>.png` for every pattern, after the name of the protocol if there are several."""
    if folder is None:
        return
    with losses.noting():
        make_folder(folder)
        for audit in audits:
            _write_patterns(audit, folder, prefix_of(audit, audits), losses)


def _write_patterns(audit: Audit, folder: Path, prefix: str, losses: Losses) -> None:
    protocol = audit.report.protocol
    for name, pattern in audit.patterns.items():
        attack, epsilon = name.split("@")
        size = protocol.written(float(epsilon)).replace("/", "-").replace("%", "")
        path = folder / f"{prefix}{attack}-{size}.png"
        with losses.noting():
            write_whole(path, picture(pattern, protocol))
            say(f"wrote {path}", err=True)


def picture(pattern: np.ndarray, protocol: Protocol) -> bytes:
    """A pattern [C, height, width] as a PNG.

    A patch has its own colours, and nothing outside its shape. A perturbation is shown around grey, with its
    largest change black or white.
    """
    if protocol.norm != "patch":
        pattern = 0.5 + pattern / max(2 * float(np.abs(pattern).max()), 1e-9)
    pixels = np.rint(np.clip(pattern, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    factor = max(-(-SIDE // max(image.size)), 1)
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if protocol.norm == "patch" and protocol.patch_shape == "disc":
        steps = (np.arange(image.width) + 0.5) / image.width - 0.5
        inside = np.hypot(steps[:, None], steps) <= 0.5
        image.putalpha(Image.fromarray(inside.astype(np.uint8) * 255))
    file = io.BytesIO()
    image.save(file, "PNG", dpi=(DPI, DPI))
    return file.getvalue()
