"""Where images come from: the digits that ship, published archives, a folder of classes, an `.npz`."""

from __future__ import annotations

import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import VivavoceError
from ..text import plain
from .archives import ARCHIVES, Which, open_archive
from .classes import CLASSES
from .fit import Fit
from .folders import LeftOut, class_folders, images_below, say_once
from .imageset import ImageSet, read_image
from .matching import listed

DIGITS = tuple("0123456789")


def open_images(source: str | Path) -> ImageSet:
    """Open a data set by name, a folder with one subfolder per class, or an `.npz`.

    The names are `digits`, `mnist`, `fashion-mnist`, `cifar10` and `cifar100`, and stand for the test
    images. All but the first may be followed by a colon and the folder with the published files.

    Raises:
        VivavoceError: no such source, or it holds no labelled images.
    """
    if str(source) == "digits":
        return digits_test()
    if known := well_known(source):
        return archived(*known, "test")
    path = Path(source)
    if path.suffix == ".npz" and path.is_file():
        return _npz(path)
    if path.is_dir():
        return _folder(path)
    if path.exists():
        raise VivavoceError(f"{path}: not a data set; give a folder with one subfolder per class, or an .npz")
    raise VivavoceError(
        f"{path}: no such data set; give digits, {', '.join(ARCHIVES)}, a folder with one subfolder per "
        "class, or an .npz with arrays `images` (uint8 [N, H, W, C]) and `labels`"
    )


def well_known(source: str | Path) -> tuple[str, Path | None] | None:
    """Name and folder, if `source` is the name of a published data set, with or without a folder."""
    name, colon, folder = str(source).partition(":")
    return (name, Path(folder) if colon else None) if name in ARCHIVES else None


def archived(name: str, root: Path | None, which: Which) -> ImageSet:
    """A part of a published data set (see `archives`)."""
    images, labels = open_archive(name, which, root)
    return _from_arrays(name, images, labels, CLASSES[name])


def digits_test() -> ImageSet:
    """The 360 test images of the UCI handwritten digits: the split on which digit models are judged."""
    with (
        resources.files("vivavoce.images").joinpath("digits.npz").open("rb") as file,
        np.load(file) as archive,
    ):
        labels = archive["labels"].astype(np.int64)
        return _from_arrays("digits", enlarge_digits(archive["images"]), labels, DIGITS)


def enlarge_digits(images: np.ndarray) -> np.ndarray:
    """Turn digits [N, 8, 8] with values 0..16 into uint8 [N, 32, 32, 3], each pixel a 4x4 block."""
    grey = np.rint(images.astype(np.float64) * (255 / 16)).astype(np.uint8)
    return np.repeat(np.kron(grey, np.ones((1, 4, 4), np.uint8))[..., None], 3, axis=3)


def _npz(path: Path) -> ImageSet:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            images, labels = archive["images"], archive["labels"]
            classes = tuple(map(str, archive["classes"])) if "classes" in archive else None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise VivavoceError(f"{path}: needs arrays `images` and `labels` ({error})") from error
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in ((), (1,), (3,)):
        raise VivavoceError(
            f"{path}: `images` must be uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3], "
            f"not {images.dtype} {list(images.shape)}"
        )
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer) or not len(labels):
        raise VivavoceError(f"{path}: `labels` must be one integer per image, not {labels.dtype} "
                            f"{list(labels.shape)} for {len(images)} images")  # fmt: skip
    if labels.min() < 0 or (classes and labels.max() >= len(classes)):
        raise VivavoceError(f"{path}: `labels` has {labels.min()}..{labels.max()}, which name no class")
    return _from_arrays(path.name, images, labels.astype(np.int64), classes)


def _from_arrays(
    name: str, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...] | None = None
) -> ImageSet:
    """Make a set of uint8 [N, H, W(, C)] arrays; without names the classes are called 0, 1, ..."""

    def read(index: int, fit: Fit) -> np.ndarray:
        return fit(Image.fromarray(np.squeeze(images[index])))

    numbered = tuple(str(k) for k in range(labels.max() + 1))
    return ImageSet(name, labels, classes or numbered, read, named=classes is not None)


PARTS = ("train", "training", "test", "testing", "val", "valid", "validation", "dev")
"""Names of folders that hold a part of a data set, not a class."""


def _folder(path: Path) -> ImageSet:
    left = LeftOut()
    classes = class_folders(path, left)
    if not classes:
        raise VivavoceError(f"{path}: no classes here; put each class's images in a subfolder named after it")
    _refuse_parts(path, classes)
    files, labels, empty = [], [], []
    for k, name in enumerate(classes):
        found = [_name(f.relative_to(path), path) for f in images_below(path / name, left)]
        files += found
        labels += [k] * len(found)
        if not found:
            empty.append(name)
    left.say(path)
    if not files:
        raise VivavoceError(f"{path}: its {len(classes)} subfolders hold no images that Pillow can read")
    if empty:
        say_once(f"{plain(str(path))}: no images in {listed(empty)}")

    def read(index: int, fit: Fit) -> np.ndarray:
        return read_image(path / files[index], fit)

    return ImageSet(path.resolve().name, np.array(labels, np.int64), tuple(classes), read, tuple(files))


def _name(file: Path, folder: Path) -> str:
    """A file's path as text for reports, which are UTF-8."""
    name = file.as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise VivavoceError(f"{folder}: the name {plain(name)!r} is not UTF-8; rename the file") from None
    return name


def _refuse_parts(path: Path, classes: list[str]) -> None:
    """Refuse a folder of train/ and test/: their names would become the classes."""
    if len(classes) > 1 and all(name.lower() in PARTS for name in classes):
        last = next((name for name in classes if name.lower().startswith("test")), classes[-1])
        raise VivavoceError(f"{path}: holds parts of a data set ({', '.join(classes)}), not classes; "
                            f"give one of them: {path / last}")  # fmt: skip
