"""Images that the page offers to people who have none at hand."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from pydantic import BaseModel, Field

from ..artifacts import ExportedModel
from ..images.fit import Fit
from ..images.sources import open_images

MOST = 10
LOSSLESS = 64
"""Pixels up to which an image is a PNG; a larger one is a JPEG, which is a tenth of its size."""
QUALITY = 92


class Example(BaseModel):
    """An image to try."""

    name: str = Field(description="Its class.")
    image: str = Field(description="The image as a data URL.")


def examples(model: ExportedModel, source: str | None) -> list[Example]:
    """The first image of each class, of at most `MOST` classes, as large as the model needs.

    Args:
        model: decides the size.
        source: a data set by name, or a folder with one subfolder per class; None: the digits that ship for
            a model that was trained on them, and nothing for other models.

    Raises:
        VivavoceError: no such data set, or an image cannot be read.
    """
    training = model.manifest.training
    if source is None and training is not None and training.dataset == "digits":
        source = "digits"
    if source is None:
        return []
    images, entry = open_images(source), model.manifest.input
    side = entry.resize
    fit = Fit(side, side, entry.channels, side, entry.interpolation) if side else Fit.of(entry)
    _, first = np.unique(images.labels, return_index=True)
    return [
        Example(name=images.classes[images.labels[place]], image=_data_url(images.read(int(place), fit)))
        for place in first[:MOST]
    ]


def _data_url(pixels: np.ndarray) -> str:
    picture, content = Image.fromarray(pixels.squeeze()), io.BytesIO()
    kind, options = ("png", {}) if max(picture.size) <= LOSSLESS else ("jpeg", {"quality": QUALITY})
    picture.save(content, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
