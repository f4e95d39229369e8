"""Figures of matplotlib as files: text is text, whatever a name has in it. Matplotlib is imported on use."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import write_whole
from .text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rendered(figure: Figure, kind: str, **options: Any) -> bytes:
    """A figure as a picture, in which `$` in a name begins no formula and control characters are escaped.

    Args:
        figure: drawn.
        kind: `png`, `svg` or `pdf`.
        options: as `Figure.savefig` takes them.
    """
    import matplotlib as mpl
    from matplotlib.text import Text

    picture = io.BytesIO()
    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # shown as a box, which says so better
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            text.set_parse_math(False)
            text.set_text("\n".join(map(plain, text.get_text().split("\n"))))
        figure.savefig(picture, format=kind, **options)
    return picture.getvalue()


def save_figure(figure: Figure, path: Path, **options: Any) -> None:
    """Write a figure to a file, whose suffix chooses the kind of picture.

    Raises:
        VivavoceError: the file cannot be written.
    """
    write_whole(path, rendered(figure, path.suffix.lower().removeprefix("."), **options))
