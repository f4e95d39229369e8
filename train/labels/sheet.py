"""A sheet of pictures: every label of a bank, named."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...artifacts.bank import LabelBank
from ...errors import VivavoceError
from ...files import replacing
from ...text import plain
from .statistics import describe_indistinct, indistinct_pairs

PAPER, INK, MUTED, WARNING = "#ffffff", "#1b1b23", "#7a7a88", "#c8382e"
RAMP = ("#0b0724", "#34105f", "#6d1f7f", "#a9327d", "#dd4f69", "#f7835c", "#fdbf82", "#fbf8d0")
"""Colours from the least value to the largest, dark to light."""
SOUND_KINDS = ("speech", "shuffled-speech")


@dataclass(frozen=True)
class _Layout:
    """Where things are, in pixels."""

    columns: int
    rows: int
    tile: int
    caption: int
    margin: int = 56
    gap: int = 20
    head: int = 128
    foot: int = 34

    @property
    def size(self) -> tuple[int, int]:
        width = 2 * self.margin + self.columns * (self.tile + self.gap) - self.gap
        height = self.head + self.rows * (self.tile + self.caption) + self.foot + self.margin // 2
        return width, height

    def corner(self, k: int) -> tuple[int, int]:
        row, column = divmod(k, self.columns)
        return (
            self.margin + column * (self.tile + self.gap),
            self.head + row * (self.tile + self.caption),
        )


def draw_sheet(bank: LabelBank) -> Image.Image:
    """Draw every label with its class's name, the word said and how long that takes.

    Speech has time to the right and pitch upwards; vectors are bars. Colours span the bank's range. Classes
    that threshold decoding cannot tell apart have their names in red.
    """
    count = len(bank.classes)
    columns = 5 if count <= 25 else 10
    tile = 192 if columns == 5 else 128
    layout = _Layout(columns, ceil(count / columns), tile, caption=66 if bank.spoken else 46)
    sheet = Image.new("RGB", layout.size, PAPER)
    draw = ImageDraw.Draw(sheet)
    _heading(draw, sheet, bank, layout)
    pairs = indistinct_pairs(bank)
    unclear = {name for pair in pairs for name in (pair.first, pair.second)}
    unclear = unclear if len(unclear) < count else set()
    for k in range(count):
        left, top = layout.corner(k)
        sheet.paste(_picture(bank, k, layout.tile), (left, top))
        ink = WARNING if bank.classes[k] in unclear else INK
        _caption(draw, bank, k, (left, top + layout.tile), layout.tile, ink)
    if warning := describe_indistinct(bank):
        room = layout.size[0] - 2 * layout.margin
        place = (layout.margin, layout.size[1] - layout.foot - layout.margin // 2)
        draw.text(place, _shortened(draw, warning, room, 16), WARNING, _font(16))
    return sheet


def save_sheet(bank: LabelBank, path: Path) -> None:
    """Draw the sheet into a file; the suffix chooses the format.

    Raises:
        VivavoceError: no picture has that suffix, or the file cannot be written.
    """
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise VivavoceError(f"{path}: no picture format ends in {path.suffix!r}; use .png")
    with replacing(path) as fresh:
        draw_sheet(bank).save(fresh)


def _heading(draw: ImageDraw.ImageDraw, sheet: Image.Image, bank: LabelBank, layout: _Layout) -> None:
    """Kind, size and maker on the left; the scale of colours on the right."""
    width = layout.size[0]
    draw.text((layout.margin, 34), _shortened(draw, bank.kind, width / 2, 34), INK, _font(34))
    shape = " x ".join(map(str, bank.labels.shape[1:]))
    shape = shape if bank.labels.ndim > 2 else f"{shape} numbers each"
    made = "" if "engine" not in bank.recipe else f", said by {bank.recipe['engine']}"
    made += f" ({bank.recipe['voice']})" if "voice" in bank.recipe else ""
    about = _shortened(draw, f"{len(bank.classes)} classes, {shape}{made}", 2 * width / 3, 18)
    draw.text((layout.margin, 80), about, MUTED, _font(18))
    long = min(220, width // 4)
    ramp = _colours(np.tile(np.linspace(0, 1, long), (12, 1)))
    left = width - layout.margin - long
    sheet.paste(Image.fromarray(ramp), (left, 52))
    ends = [f"{round(float(value), 2):g}{' dB' if bank.mel else ''}" for value in _range(bank)]
    draw.text((left, 72), ends[0], MUTED, _font(16))
    draw.text((left + long, 72), ends[1].replace("-0 ", "0 "), MUTED, _font(16), anchor="ra")


def _range(bank: LabelBank) -> tuple[float, float]:
    return float(bank.labels.min()), float(bank.labels.max())


def _picture(bank: LabelBank, k: int, side: int) -> Image.Image:
    """One label as a square picture of `side` pixels."""
    label = bank.labels[k].astype(np.float64)
    least, most = _range(bank)
    values = (label - least) / max(most - least, 1e-12)
    if values.ndim == 1:
        return _bars(values, (0 - least) / max(most - least, 1e-12), side)
    if bank.kind in SOUND_KINDS:
        values = values[::-1]  # low pitch below
    return Image.fromarray(_colours(values)).resize((side, side), Image.Resampling.NEAREST)


def _bars(values: np.ndarray, zero: float, side: int) -> Image.Image:
    """A vector as bars from the line of zero, or from the bottom where nothing is below zero."""
    picture = Image.new("RGB", (side, side), "#f3f2f6")
    draw = ImageDraw.Draw(picture)
    zero = min(max(zero, 0.0), 1.0)
    ground = round((side - 1) * (1 - zero))
    edges = np.linspace(0, side, len(values) + 1).round().astype(int)
    colours = _colours(0.1 + 0.75 * values[None])[0]
    for value, colour, left, right in zip(values, colours, edges[:-1], edges[1:], strict=True):
        end = round((side - 1) * (1 - value))
        gap = 1 if right - left > 2 else 0
        # More entries than pixels share columns.
        last = max(int(right) - 1 - gap, int(left))
        draw.rectangle((int(left), min(end, ground), last, max(end, ground)), tuple(colour))
    draw.line((0, ground, side, ground), MUTED)
    return picture


def _caption(
    draw: ImageDraw.ImageDraw, bank: LabelBank, k: int, corner: tuple[int, int], width: int, ink: str
) -> None:
    """The class's name; below it the word where it is another, and the length of the sound."""
    left, top = corner
    draw.text((left, top + 6), _shortened(draw, bank.classes[k], width, 17), ink, _font(17))
    about = []
    if bank.spoken and bank.spoken[k] != bank.classes[k].replace("_", " ").lower():
        about.append(f"“{bank.spoken[k]}”")
    if bank.frames and bank.mel:
        about.append(f"{bank.frames[k] * bank.mel.hop / bank.mel.sample_rate:.2f} s")
    draw.text((left, top + 29), _shortened(draw, "  ".join(about), width, 14), MUTED, _font(14))


def _shortened(draw: ImageDraw.ImageDraw, text: str, room: float, size: int) -> str:
    """The text in one line, cut to fit a width in pixels."""
    text = plain(text[:200])
    if draw.textlength(text, _font(size)) <= room:
        return text
    while text and draw.textlength(text + "…", _font(size)) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(size)


def _colours(values: np.ndarray) -> np.ndarray:
    """Colours of values in 0..1: uint8 [..., 3]."""
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in RAMP], np.float64)
    place = np.linspace(0, 1, len(stops))
    channels = [np.interp(values, place, stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
