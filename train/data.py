"""Training data: uint8 images in memory, split into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from ..errors import VivavoceError
from ..images import Fit, ImageSet, match, open_images
from ..images.matching import listed
from ..images.sources import DIGITS, archived, enlarge_digits, well_known
from .lazy import LazyImages

CIFAR_STATISTICS = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""Mean and standard deviation that Chen et al. 2021 normalise with, for both CIFAR sets."""

GREY = ("mnist", "fashion-mnist")
"""Published sets that are grey and have statistics of their own."""

SIDE = 32
"""Height and width to which images are brought if nothing else is asked for."""

IN_MEMORY = 4 * 2**30
"""A data set of more bytes than this, decoded, is read from disk batch by batch."""


@dataclass(frozen=True)
class Split:
    """One part of a data set: images uint8 [N, 3, H, W], in memory or on disk, and classes int64 [N]."""

    images: np.ndarray | LazyImages
    classes: np.ndarray

    def __len__(self) -> int:
        """Count the images."""
        return len(self.classes)

    def subset(self, indices: np.ndarray) -> Split:
        """The images at `indices`, in that order."""
        lazy = isinstance(self.images, LazyImages)
        images = self.images.view(indices) if lazy else self.images[indices]
        return Split(images, self.classes[indices])


@dataclass(frozen=True)
class Splits:
    """A data set ready to train on."""

    name: str
    source: str
    """What `open_splits` was given: the name, or the folder's path."""
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool
    """Whether a mirrored image still shows its class."""

    @property
    def described(self) -> str:
        """The split in words, for the manifest."""
        return f"{len(self.train)} training, {len(self.validation)} validation, {len(self.test)} test images"


def open_splits(dataset: str, seed: int, level: int | None = None, side: int = SIDE) -> Splits:
    """Read a data set and split a tenth off its training images for validation.

    The split is a permutation drawn from the run's seed; its first tenth is the validation part, and
    a data level takes the images right after it, so that a lower level's are among a higher one's.

    Args:
        dataset: `digits`, a published data set (see `images.open_images`), or a folder with `train/` and
            `test/`, each with one subfolder per class.
        seed: the run's seed.
        level: train on this percentage of all training images, those held for validation counted in
            (Chen et al. 2021, section 4.4); None: on all that are left.
        side: height and width to bring the images to; `digits` are 32.

    Raises:
        VivavoceError: no such data set, its parts do not fit, or the level is out of range.
    """
    if side < 8 or (dataset == "digits" and side != SIDE):
        raise VivavoceError(f"image size {side}: give {SIDE}" + (" for digits" if side >= 8 else " or more"))
    known = well_known(dataset)
    if dataset == "digits":
        classes, train, test = _digits()
        statistics, flip = _statistics(train), False
    elif known:
        classes, train, test = _archived(*known, side)
        grey = known[0] in GREY
        statistics, flip = (_statistics(train) if grey else CIFAR_STATISTICS), known[0] != "mnist"
    else:
        classes, train, test = _folder(Path(dataset), side)
        statistics, flip = CIFAR_STATISTICS, True
    validation, train = (train.subset(i) for i in held_out(len(train), seed, level, dataset))
    mean, std = statistics
    return Splits(
        known[0] if known else Path(dataset).name, dataset, classes, train, validation, test, mean, std, flip
    )


def held_out(n: int, seed: int, level: int | None, dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """Which of n training examples are for validation, and which are trained on (see `open_splits`)."""
    if level is not None and not 1 <= level <= 90:
        raise VivavoceError(f"data level {level}: give a percentage from 1 to 90")
    order = np.random.RandomState(seed).permutation(n)
    held = n // 10
    if not held:
        raise VivavoceError(f"{dataset}: {n} training examples are too few; at least 10 are needed")
    return order[:held], order[held:] if level is None else order[held : held + level * n // 100]


def _digits() -> tuple[tuple[str, ...], Split, Split]:
    """Scikit-learn's digits less the test images that ship with the package, and those."""
    from sklearn.datasets import load_digits

    with (
        resources.files("vivavoce.images").joinpath("digits.npz").open("rb") as file,
        np.load(file) as archive,
    ):
        test_images, test_labels, index = archive["images"], archive["labels"], archive["index"]
    images, labels = load_digits(return_X_y=True)
    keep = np.setdiff1d(np.arange(len(labels)), index)
    return (
        DIGITS,
        _part(enlarge_digits(images.reshape(-1, 8, 8)[keep]), labels[keep]),
        _part(enlarge_digits(test_images), test_labels),
    )


def _folder(root: Path, side: int) -> tuple[tuple[str, ...], Split, Split]:
    missing = [name for name in ("train", "test") if not (root / name).is_dir()]
    if missing:
        raise VivavoceError(
            f"{root}: no folder {missing[0]!r} here; give `digits` or a folder with train/ and test/, "
            "each with one subfolder per class"
        )
    train = open_images(root / "train")
    if len(train.classes) < 2:
        raise VivavoceError(
            f"{root / 'train'}: one class ({listed(train.classes)}); training needs at least 2"
        )
    empty = [
        train.classes[k] for k in np.flatnonzero(np.bincount(train.labels, minlength=len(train.classes)) == 0)
    ]
    if empty:
        raise VivavoceError(f"{root / 'train'}: no images of {listed(empty)}; add some or remove the folder")
    test, _ = match(open_images(root / "test"), train.classes, known=True)
    return train.classes, _read(train, side), _read(test, side)


def _archived(name: str, root: Path | None, side: int) -> tuple[tuple[str, ...], Split, Split]:
    train, test = archived(name, root, "train"), archived(name, root, "test")
    return train.classes, _read(train, side), _read(test, side)


def _read(source: ImageSet, side: int) -> Split:
    """Hold the images in memory if they fit, else leave them on disk."""
    fit = Fit(side, side)
    if len(source) * fit.channels * side * side > IN_MEMORY:
        return Split(LazyImages(source, fit), source.labels.astype(np.int64))
    return _part(source.pixels(np.arange(len(source)), fit), source.labels)


def _part(pixels: np.ndarray, classes: np.ndarray) -> Split:
    return Split(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), classes.astype(np.int64))


def _statistics(train: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel in 0..1, to four digits, of ten thousand images at most."""
    pixels = train.images[:10_000]
    mean, std = pixels.mean((0, 2, 3)) / 255, pixels.std((0, 2, 3)) / 255
    return tuple(round(float(v), 4) for v in mean), tuple(round(float(v), 4) for v in std)
