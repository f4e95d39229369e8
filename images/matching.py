"""Which of a model's classes is which of a data set's."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import numpy as np

from ..errors import VivavoceError
from ..text import numbered
from .imageset import ImageSet

WORDNET, IMAGENET = re.compile(r"n\d{8}"), 1000
"""The form of a WordNet id, and how many classes of ImageNet are ordered by theirs."""


def match(images: ImageSet, classes: tuple[str, ...], known: bool) -> tuple[ImageSet, str]:
    """The images with labels that index a model's classes, and in words how they were matched.

    Args:
        images: the data set.
        classes: the model's classes.
        known: whether the model tells their names; otherwise they are just 0..K-1.

    Raises:
        VivavoceError: the classes do not fit.
    """
    k = len(classes)
    apart = not set(images.classes) & set(classes)
    if images.named and apart and k == len(images.classes) == IMAGENET and _are_wordnet_ids(images.classes):
        return replace(images, classes=classes), "WordNet ids in sorted order, as ImageNet numbers them"
    if images.named and known and not (apart and _are_numbers(images.classes, k)):
        return _by_name(images, classes), "classes matched by name"
    if not images.named:
        if images.labels.max() >= k:
            raise VivavoceError(f"{images.name}: label {images.labels.max()}, but the model has {k} classes")
        return replace(images, classes=classes), "labels taken as the model's class numbers"
    if _are_numbers(images.classes, k):
        labels = np.array([int(name) for name in images.classes], np.int64)[images.labels]
        images = replace(images, labels=labels, classes=classes)
        return images, "folder names taken as the model's class numbers"
    if len(images.classes) == k:
        return images, "the model does not name its classes: folders taken in sorted order"
    raise VivavoceError(
        f"{images.name}: {len(images.classes)} classes, but the model has {k} without names; "
        "name them with --classes FILE (one name a line, in the order of the scores)"
    )


def _are_numbers(names: tuple[str, ...], count: int) -> bool:
    """Whether names are different numbers below `count`."""
    numbers = {int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 10}
    return len(numbers) == len(names) and max(numbers) < count


def _are_wordnet_ids(names: tuple[str, ...]) -> bool:
    return all(WORDNET.fullmatch(name) for name in names)


def _by_name(images: ImageSet, classes: tuple[str, ...]) -> ImageSet:
    """Match names: exactly, else without regard to case, outer spaces and how accents are composed."""
    exact = {name: k for k, name in reversed([*enumerate(numbered(classes))])}
    loose: dict[str, list[int]] = {}
    for name, k in exact.items():
        loose.setdefault(_loose(name), []).append(k)
    found = [[exact[name]] if name in exact else loose.get(_loose(name), []) for name in images.classes]
    missing = [name for name, places in zip(images.classes, found, strict=True) if not places]
    if missing:
        raise VivavoceError(
            f"{images.name}: the model has no class {listed(missing)}; its classes are {listed(classes)}"
        )
    for name, places in zip(images.classes, found, strict=True):
        if len(places) > 1:
            alike = listed([classes[k] for k in sorted(places)])
            raise VivavoceError(
                f"{images.name}: {name!r} could be any of {alike}; name the folder exactly so"
            )
    to_model = np.array([places[0] for places in found], np.int64)
    return replace(images, labels=to_model[images.labels], classes=classes)


def _loose(name: str) -> str:
    """The same for names that differ only in case, spaces around them, or composed accents (NFC, NFD)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def listed(names: tuple[str, ...] | list[str], most: int = 10) -> str:
    """Join names for a message, not more than fit a line."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"
