"""Explanations as a PNG: the image, its heatmap, both overlaid, and a colour bar; one row each."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...text import plain
from .colours import colour, overlay, scale, shade
from .explanation import Explanation

SIDE, LARGEST = 224, 448
"""Small images are enlarged to about this side, large ones are reduced to at most this one; pixels."""
GAP, LINE, BAR, LABELS = 12, 20, 16, 76
"""Space between pictures, height of a line of text, width of a colour bar and of its figures; pixels."""
PAPER, INK, SOFT = "#ffffff", "#1c2430", "#5b6675"


def png(explanations: Sequence[Explanation]) -> bytes:
    """One picture of all of them."""
    rows = [_row(explanation) for explanation in explanations]
    width = max(row.width for row in rows)
    sheet = Image.new("RGB", (width, sum(row.height for row in rows)), PAPER)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return encoded(sheet)


def encoded(picture: Image.Image) -> bytes:
    """A picture as PNG."""
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def tiles(explanation: Explanation) -> dict[str, Image.Image]:
    """The image, the heatmap, the overlay, and the sound if there is one, all at one size that shows well."""
    pixels, heat, signed = explanation.pixels, explanation.heat, explanation.method.signed
    parts = {"image": pixels, "heatmap": colour(heat, signed), "overlay": overlay(pixels, heat, signed)}
    found = {name: _sized(part) for name, part in parts.items()}
    if explanation.sound is not None:
        sound = Image.fromarray(explanation.sound)
        found["sound"] = sound.resize(found["image"].size, Image.Resampling.NEAREST)
    return found


def _sized(pixels: np.ndarray) -> Image.Image:
    picture = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).convert("RGB")
    longer = max(picture.size)
    if longer > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        return picture
    factor = max(1, round(SIDE / longer))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _row(explanation: Explanation) -> Image.Image:
    pictures = list(tiles(explanation).values())
    side, height = pictures[0].size
    widths = len(pictures) * (side + GAP) + GAP + BAR + LABELS
    row = Image.new("RGB", (max(widths, 480), height + 3 * LINE + 2 * GAP), PAPER)
    draw = ImageDraw.Draw(row)
    _text(draw, (GAP, GAP), f"{explanation.file}: {explanation.answer}", INK, row.width)
    _text(draw, (GAP, GAP + LINE), f"why {explanation.about}: {explanation.how}", SOFT, row.width)
    top = GAP + 2 * LINE + GAP // 2
    for k, picture in enumerate(pictures):
        row.paste(picture, (GAP + k * (side + GAP), top))
    _bar(row, draw, explanation, (GAP + len(pictures) * (side + GAP), top), height)
    return row


def _bar(
    row: Image.Image,
    draw: ImageDraw.ImageDraw,
    explanation: Explanation,
    corner: tuple[int, int],
    height: int,
) -> None:
    """The colours with the numbers at their ends."""
    left, top = corner
    signed, most = explanation.method.signed, scale(explanation.heat)
    shares = np.linspace(1, 0, height)[:, None].repeat(BAR, 1)
    row.paste(Image.fromarray(shade(shares, signed)), corner)
    marks = [(top, f"{most:+.2g}" if signed else f"{most:.2g}"), (top + height - 14, f"{-most:.2g}")]
    marks = [*marks, (top + height // 2 - 7, "0")] if signed else [marks[0], (top + height - 14, "0")]
    for place, text in marks:
        draw.text((left + BAR + 6, place), text, SOFT, font=ImageFont.load_default(12))


def _text(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, ink: str, width: int) -> None:
    """One line, cut where it does not fit."""
    font, line = ImageFont.load_default(14), plain(text)
    room = width - 2 * GAP
    if draw.textlength(line, font) > room:
        while line and draw.textlength(line + "...", font) > room:
            line = line[:-1]
        line += "..."
    draw.text(corner, line, ink, font=font)
