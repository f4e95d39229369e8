"""Where explanations go, by suffix: `.png`, `.html`, `.npz`, or a folder with a picture for each."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...errors import VivavoceError
from ...files import check_folder, check_parent, is_folder
from ...text import encodable
from .explanation import Explanation

MOST = {".png": 60, ".html": 2000}
"""Most explanations in one picture, and on one page."""
ARRAYS = 2 * 2**30
"""Most bytes of arrays in memory for one file."""


def _png(model: str, explanations: Sequence[Explanation]) -> bytes:
    from .picture import png

    return png(explanations)


def _html(model: str, explanations: Sequence[Explanation]) -> bytes:
    from .gallery import page

    return page(model, explanations)


def _npz(model: str, explanations: Sequence[Explanation]) -> bytes:
    """Arrays with a row for each explanation; `attribution_METHOD` has the rows of that method alone."""
    data, arrays = io.BytesIO(), {}
    for name in ("decision", "goal", "probability", "heat", "pixels"):
        arrays[name] = np.array([getattr(e, name) for e in explanations])
    arrays["image"] = np.array([encodable(e.file) for e in explanations])
    arrays["rival"] = np.array([e.rival or "" for e in explanations])
    arrays["method"] = np.array([e.method.name for e in explanations])
    arrays["completeness_error"] = np.array([np.nan if e.gap is None else e.gap for e in explanations])
    for name in dict.fromkeys(e.method.name for e in explanations):
        arrays[f"attribution_{name}"] = np.stack(
            [e.attribution for e in explanations if e.method.name == name]
        )
    np.savez_compressed(data, **arrays)
    return data.getvalue()


WRITERS: dict[str, Callable[[str, Sequence[Explanation]], bytes]] = {
    ".png": _png, ".html": _html, ".npz": _npz
}  # fmt: skip
"""Makes a file's content, by suffix, from the model's name and the explanations."""


def check_outputs(paths: Sequence[Path], count: int, size: int) -> None:
    """Check before the work that every output can be written after it.

    Args:
        paths: files or folders.
        count: number of explanations.
        size: bytes of the arrays of one.

    Raises:
        VivavoceError: an unknown suffix, an output that cannot be written, more than the file can show, or a
            missing package.
    """
    for path in paths:
        if is_folder(path):
            check_folder(path)
            continue
        if path.suffix not in WRITERS:
            raise VivavoceError(
                f"{path}: unknown output; give a file ending in {', '.join(WRITERS)}, or a folder"
            )
        check_parent(path)
        most = MOST.get(path.suffix, count)
        if count > most:
            raise VivavoceError(
                f"{path}: {count} explanations are too many for one file (at most {most}); give a folder "
                "for a picture each"
            )
        if count * size > ARRAYS:
            raise VivavoceError(
                f"{path}: {count} explanations need {count * size / 2**30:.1f} GiB of memory, at most 2; "
                "give fewer images, or a folder for a picture each"
            )
