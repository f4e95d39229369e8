"""Where networks look, at an early, a middle and a late layer (Chen et al. 2021, figure 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from ...train.model import Contract
from ...train.run import load_trained
from ..records import Record, Records
from .heat import grad_cam
from .panels import bare, blocks, headline
from .sampling import Sample, sample
from .selection import most_data, name, progress
from .style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

IMAGES, KINDS = 4, 3
"""How many test images, each of another class; and how many kinds side by side, the plan's first."""
LEVELS = ("early", "middle", "late")
SIDE = 1.1
"""Inches of a panel."""
RAMP = "inferno"


def draw(records: Records, style: Style) -> Figure:
    """The same test images under every kind of label; heat is what speaks for the class that is decided.

    Raises:
        VivavoceError: the data are texts, or are not to be had.
    """
    from matplotlib.figure import Figure

    drawn = most_data(records)
    shown = [dict(list(group.first.items())[:KINDS]) for group in drawn]
    widest = max(map(len, shown))
    high = SIDE * (IMAGES + 1) * 1.1 + (0.5 if len(drawn) > 1 else 0)
    figure = Figure((SIDE * (1 + 3.2 * widest) + 1.2, high * len(drawn)))
    parts = blocks(figure, [group.name for group in drawn], [1.0] * len(drawn))
    for part, kinds in zip(parts, shown, strict=True):
        panels = _panels(part, widest)
        images = sample(next(iter(kinds.values())), IMAGES, IMAGES)
        _column(panels[:, 0], images)
        for k, (kind, record) in enumerate(kinds.items()):
            _three(panels[:, 1 + 3 * k : 4 + 3 * k], kind, _looked(record, images), images, style)
    few = f"{', '.join(shown[0])} of all kinds" if any(len(group.kinds) > KINDS for group in drawn) else ""
    bright = "bright: what speaks for the class that the model decides for, named below"
    headline(figure, "Grad-CAM", [name(drawn), few, bright, progress(records)], style)
    return figure


def _panels(block: SubFigure, kinds: int) -> np.ndarray:
    """A panel for each image, and for each kind three with a gap before them: [IMAGES, 1 + 3 kinds]."""
    wide = [1.0, *([0.12, 1.0, 1.0, 1.0] * kinds)]
    panels = block.subplots(IMAGES, len(wide), squeeze=False, gridspec_kw={"width_ratios": wide})
    gaps = [k for k, width in enumerate(wide) if width < 1]
    for axes in panels[:, gaps].flat:
        axes.remove()
    for axes in (kept := np.delete(panels, gaps, 1)).flat:
        bare(axes)
    return kept


def _column(panels: np.ndarray, images: Sample) -> None:
    """The images as they are, and their classes."""
    for axes, image, label in zip(panels, images.images, images.labels, strict=False):
        axes.imshow(image.permute(1, 2, 0).numpy())
        axes.set_ylabel(images.classes[label], rotation=0, ha="right", va="center", labelpad=8)


def _looked(record: Record, images: Sample) -> tuple[list[np.ndarray], list[str]]:
    """Of one network a map for each level and image, as large as the image; and the classes it names."""
    config, bank, model, _ = load_trained(record.folder)
    maps, decided = grad_cam(Contract(model, bank), model.encoder.levels, images.images)
    size = images.images.shape[2:]
    large = [F.interpolate(torch.from_numpy(m)[:, None], size, mode="bilinear")[:, 0].numpy() for m in maps]
    return large, [config.classes[k] for k in decided]


def _three(
    panels: np.ndarray, kind: str, looked: tuple[list[np.ndarray], list[str]], images: Sample, style: Style
) -> None:
    """One kind's three columns."""
    maps, named = looked
    over = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center"}
    panels[0, 1].annotate(kind, (0.5, 1), (0, 23), **over)
    for k, (level, heat) in enumerate(zip(LEVELS, maps, strict=True)):
        panels[0, k].set_title(level, loc="center", fontsize=10, color=style.muted)
        for axes, image, one in zip(panels[:, k], images.images, heat, strict=False):
            _overlay(axes, image.numpy(), one)
    for axes, said, label in zip(panels[:, 1], named, images.labels, strict=False):
        wrong = said != images.classes[label]
        colour = style.look("speech").colour if wrong else style.muted
        axes.set_xlabel(f"{said} ✗" if wrong else said, color=colour, fontsize=10, labelpad=3)


def _overlay(axes: Axes, image: np.ndarray, heat: np.ndarray) -> None:
    """Heat [H, W], brightest where it is largest, over the image [C, H, W] in grey."""
    grey = image.mean(0)
    axes.imshow(grey, "gray", vmin=0, vmax=1)
    axes.imshow(heat, RAMP, vmin=0, vmax=max(float(heat.max()), 1e-12), alpha=0.7)
