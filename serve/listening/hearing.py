"""What the listener heard, counted: agreement with the threshold, confusions, recognition against loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

STEP = 0.5
"""Width of a bin of the curve, in mean smooth L1."""
UNDERSTOOD = 0.9
"""Share that must be heard right in a bin for a suggested threshold to lie above it."""
FEWEST = 5
"""Sounds that a bin needs to be judged; a smaller one is counted with the next."""


class Heard(msgspec.Struct, frozen=True):
    """One sound that was played to the listener."""

    name: str
    """Image file or index."""
    true: int
    """Class of the image."""
    decided: int
    """Class by nearest-neighbour decoding."""
    heard: int
    """Class whose word was heard; -1: nothing."""
    loss: float | None = None
    """Mean smooth L1 between the prediction and the label of the true class; None: the model predicts no
    sounds, and says the stored name of its decision."""


class ClassCount(msgspec.Struct, frozen=True):
    """The sounds of one class."""

    name: str
    n: int
    nearest: int
    """Decided right."""
    within: int | None
    """Nearer to the true label than the threshold; None without losses."""
    heard: int
    """Heard as the true class."""
    agree: int | None
    """Both of the last two, or neither; None without losses."""


class Bin(msgspec.Struct, frozen=True):
    """The sounds whose loss to the true label lies in low..high."""

    low: float
    high: float
    n: int
    heard: int


class Hearing(msgspec.Struct, frozen=True):
    """A model's answers as the automatic listener hears them."""

    model: str
    data: str
    sample: str
    threshold: float | None
    """None: the model predicts no sounds, and says the stored name of its decision."""
    n: int
    nearest: int
    within: int | None
    heard: int
    agree: int | None
    classes: list[ClassCount]
    words: list[str]
    confusion: list[list[int]]
    """[K, K + 1]: row the true class, column the word heard; the last one: nothing heard."""
    curve: list[Bin]
    """Of the predictions."""
    blends: list[Bin]
    """Of blends of the bank's labels; empty unless a threshold was asked for."""
    understood: int = 0
    """Decided right, and heard as that class."""
    suggested: float | None = None
    """Up to this loss the words are understood; None: not asked for, or they never are."""


def count(
    about: tuple[str, str, str],
    sounds: Sequence[Heard],
    blends: Sequence[Heard],
    names: Sequence[str],
    words: Sequence[str],
    threshold: float | None,
) -> Hearing:
    """Count what was heard.

    Args:
        about: model, data set and sample, in words.
        sounds: of predictions.
        blends: of blends of the bank's labels; none: no threshold is suggested.
        names: of the classes.
        words: what the listener chose among, one per class.
        threshold: mean smooth L1 to compare with; None: the sounds have no losses.
    """
    model, data, sample = about
    classes = count_classes(sounds, names, threshold)
    bins, mixed = curve(sounds), curve(blends)
    return Hearing(
        model=model,
        data=data,
        sample=sample,
        threshold=threshold,
        n=len(sounds),
        nearest=sum(c.nearest for c in classes),
        within=_sum(c.within for c in classes),
        heard=sum(c.heard for c in classes),
        agree=_sum(c.agree for c in classes),
        classes=classes,
        words=list(words),
        confusion=confusion(sounds, len(words)),
        curve=bins,
        blends=mixed,
        understood=sum(s.decided == s.heard == s.true for s in sounds),
        suggested=suggest(join(bins, mixed)) if blends else None,
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum; None if any is missing."""
    found = list(counts)
    return None if None in found else sum(count for count in found if count is not None)


def count_classes(sounds: Sequence[Heard], names: Sequence[str], threshold: float | None) -> list[ClassCount]:
    """Count the sounds of each class that has any."""
    counts = []
    for k, name in enumerate(names):
        own = [s for s in sounds if s.true == k]
        heard = [s.heard == k for s in own]
        near, agree = None, None
        if threshold is not None:
            within = [s.loss is not None and s.loss < threshold for s in own]
            near, agree = sum(within), sum(a == b for a, b in zip(within, heard, strict=True))
        if own:
            nearest = sum(s.decided == k for s in own)
            counts.append(ClassCount(name, len(own), nearest, near, sum(heard), agree))
    return counts


def confusion(sounds: Sequence[Heard], k: int) -> list[list[int]]:
    """Count true class against word heard: [k, k + 1], the last column for nothing heard."""
    table = np.zeros((k, k + 1), int)
    for sound in sounds:
        table[sound.true, sound.heard] += 1
    return table.tolist()


def curve(sounds: Sequence[Heard]) -> list[Bin]:
    """Recognition against loss, in bins of `STEP`; empty ones are left out."""
    measured = [(s.loss, s.heard == s.true) for s in sounds if s.loss is not None]
    places = np.array([int(loss / STEP) for loss, _ in measured], int)
    right = np.array([heard for _, heard in measured], bool)
    return [
        Bin(
            STEP * float(place),
            STEP * float(place + 1),
            int((places == place).sum()),
            int(right[places == place].sum()),
        )
        for place in np.unique(places)
    ]


def suggest(bins: Sequence[Bin]) -> float | None:
    """The loss up to which every bin is heard right at least `UNDERSTOOD` of the time.

    None if the first bin already is not.
    """
    reached, n, heard = None, 0, 0
    for entry in bins:
        n, heard = n + entry.n, heard + entry.heard
        if n < FEWEST:
            continue
        if heard < UNDERSTOOD * n:
            break
        reached, n, heard = entry.high, 0, 0
    return reached


def join(*curves: Sequence[Bin]) -> list[Bin]:
    """Several curves as one."""
    found: dict[float, Bin] = {}
    for entry in sorted((b for bins in curves for b in bins), key=lambda b: b.low):
        old = found.get(entry.low)
        found[entry.low] = (
            entry if old is None else Bin(old.low, old.high, old.n + entry.n, old.heard + entry.heard)
        )
    return list(found.values())
