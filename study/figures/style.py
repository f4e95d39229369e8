"""How every figure looks: one set of colours, fonts and lines, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal

# Okabe and Ito's colours, the yellow left out and five more found by the same rule: no two are alike to an
# eye without red, green or blue cones. Each on white and on black.
_INK, _GREY = ("#1b1b23", "#f2f0f5"), ("#63616e", "#777583")
_VERMILION, _ORANGE, _GREEN = ("#d55e00", "#f07a1f"), ("#e69f00", "#ffc44d"), ("#009e73", "#12b886")
_BLUE, _SKY, _PINK = ("#0072b2", "#3d8fd1"), ("#56b4e9", "#8fd3ff"), ("#cc79a7", "#e08fbf")
_INDIGO, _OLIVE = ("#310698", "#3d527f"), ("#92b161", "#2effa8")
_BROWN, _VIOLET, _PLUM = ("#662100", "#8f4a08"), ("#9800e5", "#b13dff"), ("#540066", "#7a5c4f")

LOOKS: dict[str, tuple[tuple[str, str], str]] = {
    "category": (_INK, "o"),
    "category-smoothed": (_GREY, "s"),
    "speech": (_VERMILION, "^"),
    "shuffled-speech": (_ORANGE, "v"),
    "gaussian-composition": (_GREEN, "D"),
    "constant": (_BLUE, "P"),
    "uniform-random": (_SKY, "X"),
    "low-dim": (_PINK, "<"),
    "bert": (_BROWN, ">"),
    "glove": (_VIOLET, "p"),
    "bert-vector": (_PLUM, "h"),
    "ecoc": (_INDIGO, "d"),
    "text": (_OLIVE, "*"),
    "std": (_INK, "o"),
    "static": (_GREY, "s"),
    "lwr2": (_SKY, "X"),
    "lwr3": (_BLUE, "P"),
    "lwr5": (_VIOLET, "p"),
    "labelembed": (_GREEN, "D"),
    "lwal": (_ORANGE, "v"),
    "lwal10": (_VERMILION, "^"),
    "lwal10+rpl": (_PINK, "<"),
}
"""Colour and marker of every label kind and method, the same in all figures."""
PORT = "-port"
"""Ending of a baseline as released: the colour of the repaired one, dashed."""
SEVERAL = (_BLUE, _ORANGE, _GREEN, _VERMILION, _PINK, _SKY, _INK, _VIOLET, _GREY, _BROWN)
MARKERS = "osv^DPX<>p"
FAMILIES = (_BLUE, _VERMILION, _GREEN)
"""Of names that are to be read."""
DPI = 150
Dashes = Literal["-", "--", ":"]


@dataclass(frozen=True)
class Look:
    """How one line looks."""

    colour: str
    marker: str
    dashes: Dashes = "-"


@dataclass(frozen=True)
class Style:
    """Light or dark."""

    dark: bool = False

    @property
    def ink(self) -> str:
        """Of what is to be read."""
        return _INK[self.dark]

    @property
    def muted(self) -> str:
        """Of what may be overlooked."""
        return ("#6b6975", "#9c9aa6")[self.dark]

    @property
    def paper(self) -> str:
        """The ground."""
        return ("#ffffff", "#15161b")[self.dark]

    def look(self, kind: str) -> Look:
        """Of a label kind or method."""
        colours, marker = LOOKS.get(kind.removesuffix(PORT), (_GREY, "."))
        return Look(colours[self.dark], marker, "--" if kind.endswith(PORT) else "-")

    def looks(self, kinds: Sequence[str]) -> dict[str, Look]:
        """Of what one figure compares; names without a look of their own, such as voices, take spare ones."""
        own = {kind: self.look(kind) for kind in kinds if kind.removesuffix(PORT) in LOOKS}
        taken = {look.colour for look in own.values()}
        spare = cycle([look for look in self.several(len(SEVERAL)) if look.colour not in taken])
        return {kind: own.get(kind) or next(spare) for kind in kinds}

    def several(self, n: int) -> list[Look]:
        """N looks that differ, for classes; more than ten repeat."""
        return [Look(SEVERAL[k % 10][self.dark], MARKERS[k % 10]) for k in range(n)]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Make matplotlib draw in this style."""
        import matplotlib as mpl

        with mpl.rc_context(self._settings()):
            yield

    def _settings(self) -> dict[Any, Any]:
        faint = ("#e4e2ea", "#2b2c35")[self.dark]
        return {
            "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 11,
            "text.color": self.ink, "text.parse_math": False,
            "figure.facecolor": self.paper, "figure.constrained_layout.use": True,
            "figure.constrained_layout.h_pad": 0.08, "figure.constrained_layout.w_pad": 0.06,
            "axes.facecolor": self.paper, "axes.edgecolor": self.muted, "axes.labelcolor": self.ink,
            "axes.titlesize": 11, "axes.titlelocation": "left", "axes.labelsize": 11,
            "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
            "axes.grid": True, "grid.color": faint, "grid.linewidth": 0.8,
            "xtick.color": self.muted, "ytick.color": self.muted,
            "xtick.labelsize": 10, "ytick.labelsize": 10,
            "lines.linewidth": 2.0, "lines.markersize": 6, "lines.markeredgewidth": 0,
            "legend.frameon": False, "legend.fontsize": 11,
            "savefig.dpi": DPI, "savefig.bbox": "tight", "savefig.pad_inches": 0.2,
            "savefig.facecolor": self.paper, "savefig.edgecolor": self.paper,
            "svg.hashsalt": "vivavoce",
        }  # fmt: skip
