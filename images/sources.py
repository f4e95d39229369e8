"""Where images come from: the digits that ship, published archives, a folder of classes, an `.npz`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import VivavoceError
from ..notices import say_once
from ..text import plain, suggestion
from .archives import ARCHIVES, Which, open_archive
from .classes import CLASSES
from .fit import Fit
from .folders import LeftOut, class_folders, images_below
from .imageset import ImageSet, read_image
from .levels import Unreadable
from .matching import listed

DIGITS = tuple("0123456789")
NPZ_LIMIT = 3 * 2**29
"""Bytes of the largest data set that is read into memory from an `.npz`."""
MOST_CLASSES = 100_000
"""Labels without names stay below this."""

NAMES = ("digits", *ARCHIVES)
"""Data sets that are known by name."""


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
    instead = (
        f"give {', '.join(NAMES)}, a folder with one subfolder per class, or an .npz with arrays "
        "`images` (uint8 [N, H, W, C]) and `labels`"
    )
    meant = suggestion(str(source), NAMES, instead)
    raise VivavoceError(f"{path}: no such data set; {meant}")


def well_known(source: str | Path) -> tuple[str, Path | None] | None:
    """Name and folder, if `source` is the name of a published data set, with or without a folder."""
    name, colon, folder = str(source).partition(":")
    return (name, Path(folder) if colon else None) if name in ARCHIVES else None


def archived(name: str, root: Path | None, which: Which) -> ImageSet:
    """A part of a published data set (see `archives`)."""
    images, labels = open_archive(name, which, root)
    if not images.size or labels.min() < 0 or labels.max() >= len(CLASSES[name]):
        raise VivavoceError(f"{name}: the files hold no images, or labels that name none of its classes")
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
    from ..artifacts.arrays import read_arrays

    arrays = read_arrays(path, "data set with arrays `images` and `labels`", NPZ_LIMIT)
    missing = {"images", "labels"} - arrays.keys()
    if missing:
        raise VivavoceError(f"{path}: needs arrays `images` and `labels`, but has no `{min(missing)}`")
    images, labels = arrays["images"], arrays["labels"]
    if (
        images.dtype != np.uint8
        or images.ndim not in (3, 4)
        or images.shape[3:] not in ((), (1,), (3,))
        or 0 in images.shape
    ):
        raise VivavoceError(
            f"{path}: `images` must be uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3], "
            f"not {images.dtype} {list(images.shape)}"
        )
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise VivavoceError(f"{path}: `labels` must be one integer per image, not {labels.dtype} "
                            f"{list(labels.shape)} for {len(images)} images")  # fmt: skip
    classes = _class_names(arrays["classes"], path) if "classes" in arrays else None
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= (len(classes) if classes else MOST_CLASSES):
        raise VivavoceError(f"{path}: `labels` has {lowest}..{highest}, which name no class")
    return _from_arrays(path.name, images, labels.astype(np.int64), classes)


def _class_names(array: np.ndarray, path: Path) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind not in "US" or not len(array):
        raise VivavoceError(
            f"{path}: `classes` must be a list of names, not {array.dtype} {list(array.shape)}"
        )
    try:
        return tuple(np.char.decode(array, "utf-8") if array.dtype.kind == "S" else map(str, array))
    except UnicodeDecodeError:
        raise VivavoceError(f"{path}: `classes` is not UTF-8") from None


def _from_arrays(
    name: str, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...] | None = None
) -> ImageSet:
    """Make a set of uint8 [N, H, W(, C)] arrays; without names the classes are called 0, 1, ..."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]

    def read(index: int, fit: Fit) -> np.ndarray:
        try:
            return fit(Image.fromarray(images[index]))
        except Unreadable as error:
            raise VivavoceError(f"{name}: image {index}: {error}") from None

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
