"""Two sets of the same objects: by day and by night, from the old camera and from the new."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import numpy as np

from ..errors import VivavoceError
from ..notices import say_once
from ..text import plain
from .imageset import ImageSet


def paired(images: ImageSet, shifted: ImageSet) -> ImageSet:
    """The images, with those of `shifted` that have the same file names, in the same order.

    Sets without files are paired by their order, and must have the same labels.

    Raises:
        VivavoceError: an image has no counterpart, or only one of the sets has file names.
    """
    if (images.files is None) != (shifted.files is None):
        raise VivavoceError(
            f"{images.name} and {shifted.name} cannot be paired: only one of them has file names; "
            "give two folders, or two .npz files"
        )
    if images.files is None or shifted.files is None:
        if not np.array_equal(images.labels, shifted.labels):
            raise VivavoceError(
                f"{shifted.name}: its labels are not those of {images.name}; "
                "give the same images in the same order"
            )
        return replace(images, shifted=shifted)
    places = {_composed(name): place for place, name in enumerate(shifted.files)}
    missing = [name for name in images.files if _composed(name) not in places]
    if missing:
        raise VivavoceError(
            f"{shifted.name}: {len(missing)} of the {len(images)} images of {images.name} are missing, such "
            f"as {plain(missing[0])}; both folders need the same file names in the same class folders"
        )
    if len(shifted) > len(images):
        say_once(
            f"{shifted.name}: {len(shifted) - len(images)} images are not in {images.name}, and left out"
        )
    order = np.array([places[_composed(name)] for name in images.files])
    return replace(images, shifted=_reordered(shifted, order))


def _reordered(images: ImageSet, order: np.ndarray) -> ImageSet:
    """Some of the images, in this order."""
    files = None if images.files is None else tuple(images.files[place] for place in order)
    return replace(
        images,
        labels=images.labels[order],
        read=lambda index, fit: images.read(int(order[index]), fit),
        files=files,
    )


def _composed(name: str) -> str:
    """The same name whether its accents are composed (Linux, Windows) or not (macOS)."""
    return unicodedata.normalize("NFC", name)
