"""Which classes lie near each other, in class vectors and in WordNet (Yu & Verma, figure 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...artifacts import LabelBank
from ...errors import VivavoceError
from ...train.labels.semantics.correlation import label_distances, mean_tau
from ...train.labels.semantics.measure import FEWEST
from ...train.labels.semantics.pictures import clusters, draw_tree
from ...train.labels.semantics.senses import find_synsets
from ...train.labels.semantics.wordnet import WordNet
from ..methods import vectors
from ..records import Records
from .panels import blocks, headline
from .selection import Group, most_data, name, progress, unfit
from .style import FAMILIES, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4


class Meanings:
    """What WordNet says of some classes.

    Args:
        classes: their names.
        wordnet: the database; None if it is not installed.
    """

    def __init__(self, classes: tuple[str, ...], wordnet: WordNet | None) -> None:
        synsets = find_synsets(wordnet, classes) if wordnet else {}
        self.here = list(synsets) if len(synsets) >= FEWEST else []
        """Which of the classes it has; empty where they are too few to compare."""
        self.classes = tuple(classes[k] for k in self.here)
        self.distances = (
            wordnet.distances(list(synsets.values())) if wordnet and self.here else np.zeros((0, 0))
        )
        self.families = dict(zip(self.here, clusters(self.distances) - 1, strict=True)) if self.here else {}

    @property
    def ordered(self) -> bool:
        """Whether some are farther apart than others."""
        return bool(self.here) and self.distances[~np.eye(len(self.here), dtype=bool)].std() > 0

    def colours(self, classes: range | list[int], style: Style) -> list[str]:
        """By WordNet's clusters; muted what it does not have."""
        known = self.families if self.ordered else {}
        return [FAMILIES[known[k]][style.dark] if k in known else style.ink for k in classes]

    def tau(self, distances: np.ndarray) -> float | None:
        """Kendall's tau-b of distances [K, K] of all classes."""
        return mean_tau(distances[np.ix_(self.here, self.here)], self.distances) if self.ordered else None


def draw(records: Records, style: Style) -> Figure:
    """Average-linkage trees of each method's class vectors, and of WordNet's nouns where it has the classes.

    Raises:
        VivavoceError: the study compares labels, not methods.
    """
    from matplotlib.figure import Figure

    if not records.plan.grid.method:
        raise unfit(
            "dendrograms",
            records,
            "this study compares labels made beforehand; take one of methods, such as lwal-semantics",
        )
    try:
        wordnet = WordNet()
    except VivavoceError:
        wordnet = None
    drawn = most_data(records)
    found = [_vectors(group) for group in drawn]
    meanings = [Meanings(next(iter(banks.values())).classes, wordnet) for banks in found]
    trees = [len(banks) + bool(words.here) for banks, words in zip(found, meanings, strict=True)]
    columns = min(COLUMNS, max(trees))
    rows = [-(-n // columns) for n in trees]
    high = [n * (0.27 * len(next(iter(b.values())).classes) + 1.1) for n, b in zip(rows, found, strict=True)]
    figure = Figure((2.9 * columns, sum(high)))
    parts = blocks(figure, [group.name for group in drawn], high)
    for part, banks, words, n in zip(parts, found, meanings, rows, strict=True):
        _trees(list(part.subplots(n, columns, squeeze=False).flat), banks, words, style)
    seed = f"seed {next(iter(drawn[0].first.values())).cell.seed}"
    notes = [name(drawn), seed, "Euclidean distances, average linkage", _words(meanings), progress(records)]
    headline(figure, "Which classes are near", notes, style)
    return figure


def _words(meanings: list[Meanings]) -> str:
    """What colours and figures say."""
    if not any(m.here for m in meanings):
        return "WordNet is not on this machine, or has not these classes"
    if not any(m.ordered for m in meanings):
        return "in WordNet all these are equally far apart"
    return "names coloured by WordNet's clusters; tau-b: agreement with its distances, 0 by chance"


def _vectors(group: Group) -> dict[str, LabelBank]:
    """The class vectors of each method, of the first seed."""
    return {method: LabelBank.load(record.folder / vectors(method)) for method, record in group.first.items()}


def _trees(places: list[Axes], banks: dict[str, LabelBank], meanings: Meanings, style: Style) -> None:
    if meanings.here:
        colours = meanings.colours(meanings.here, style)
        _tree(places.pop(0), "WordNet, in steps", meanings.distances, meanings.classes, colours, style)
    for (method, bank), axes in zip(banks.items(), places, strict=False):
        distances = label_distances(bank.labels)
        tau = meanings.tau(distances)
        title = method if tau is None else f"{method}, tau-b {tau:.2f}"
        _tree(axes, title, distances, bank.classes, meanings.colours(range(len(bank.classes)), style), style)
    for axes in places[len(banks) :]:
        axes.remove()


def _tree(
    axes: Axes, title: str, distances: np.ndarray, classes: tuple[str, ...], colours: list[str], style: Style
) -> None:
    draw_tree(axes, distances, classes, colours, style.muted)
    axes.set_title(title)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
