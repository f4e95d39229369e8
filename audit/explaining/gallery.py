"""Explanations as one self-contained page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib import resources
from typing import Any

from ...text import plain
from .colours import ONE_SIDED, TWO_SIDED, scale
from .explanation import Explanation
from .picture import encoded, tiles


def page(model: str, explanations: Sequence[Explanation]) -> bytes:
    """Render the page; it loads nothing from elsewhere.

    Args:
        model: name of the file.
        explanations: in the order of the page.
    """
    import jinja2

    source = resources.files("vivavoce.audit.explaining").joinpath("gallery.html.jinja").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    entries = [_entry(explanation) for explanation in explanations]
    return environment.from_string(source).render(model=plain(model), entries=entries).encode()


def _entry(explanation: Explanation) -> dict[str, Any]:
    signed, most = explanation.method.signed, scale(explanation.heat)
    return {
        "file": plain(explanation.file),
        "answer": plain(explanation.answer),
        "about": plain(explanation.about),
        "how": plain(explanation.how),
        "pictures": [(name, address(tile)) for name, tile in tiles(explanation).items()],
        "ramp": ", ".join(f"#{c}" for c in (TWO_SIDED if signed else ONE_SIDED).split()),
        "low": f"{-most:.2g}" if signed else "0",
        "high": f"{most:+.2g}" if signed else f"{most:.2g}",
    }


def address(picture: Any) -> str:
    """A Pillow image as a PNG data address."""
    return "data:image/png;base64," + base64.b64encode(encoded(picture)).decode()
