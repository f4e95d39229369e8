"""Pictures of what is near to what: a dendrogram and a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....console import need
from ....drawing import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED = "#1b1b23", "#7a7a88"
CLUSTERS = ("#34105f", "#c8382e", "#2a7f8e", "#b8860b", "#4a7c2c", "#a9327d")
FAMILIES = 3
"""Into how many of WordNet's clusters the names are coloured."""


def draw_dendrogram(distances: np.ndarray, wordnet: np.ndarray, classes: tuple[str, ...], path: Path) -> None:
    """Average-linkage trees of the labels and of WordNet, side by side; names coloured by WordNet's clusters.

    Args:
        distances: of the labels [N, N].
        wordnet: of the synsets [N, N].
        classes: their N names.
        path: picture to write; the suffix chooses the format.
    """
    figure, (left, right) = _figure(2, max(3.2, 0.32 * len(classes) + 1.2))
    colours = families(wordnet)
    _tree(left, distances, classes, colours, "labels, Euclidean distance")
    _tree(right, wordnet, classes, colours, "WordNet, steps between meanings")
    _save(figure, path)


def draw_map(distances: np.ndarray, wordnet: np.ndarray, classes: tuple[str, ...], path: Path) -> None:
    """Classes laid out in the plane so that their distances are kept as well as they can be.

    Args: as `draw_dendrogram`.
    """
    figure, axes = _figure(2, 4.6)
    colours = families(wordnet)
    first = scaled(distances)
    second = _turned(scaled(wordnet), first)
    for ax, places, title in zip(axes, (first, second), ("labels", "WordNet"), strict=True):
        ax.scatter(*places.T, c=colours, s=34, zorder=2)
        for name, point, text, colour in zip(classes, places, _beside(places), colours, strict=True):
            line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0}
            ax.annotate(name, point, text, arrowprops=line, color=colour, fontsize=8.5, va="center")
        ax.set_title(title, color=INK, fontsize=11, loc="left")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.margins(0.2, 0.12)
        ax.set_aspect("equal", adjustable="datalim")
    _save(figure, path)


def scaled(distances: np.ndarray) -> np.ndarray:
    """Classical multidimensional scaling of distances [N, N] to the plane [N, 2]."""
    n = len(distances)
    centring = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-centring @ distances.astype(np.float64) ** 2 @ centring / 2)
    places = vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 0))
    return places / max(np.abs(places).max(), 1e-12)


def _beside(places: np.ndarray) -> np.ndarray:
    """Where the names of points [N, 2] go, from the top down, each below names and points it would cover."""
    height, width = 0.085, 0.5
    found = places + np.array([0.05, 0.0])
    for k, i in enumerate(order := np.argsort(-places[:, 1])):
        names = found[order[:k]]
        while True:
            away = places - found[i]
            covered = (np.abs(away[:, 1]) < height / 1.5) & (away[:, 0] > -0.04) & (away[:, 0] < 0.3)
            if not covered.any() and not np.any(np.all(np.abs(names - found[i]) < (width, height), axis=1)):
                break
            found[i, 1] -= height / 4
    return found


def families(wordnet: np.ndarray) -> list[str]:
    """A colour for each class: average-linkage clusters of WordNet's distances [N, N]."""
    return [CLUSTERS[(k - 1) % len(CLUSTERS)] for k in clusters(wordnet)]


def clusters(wordnet: np.ndarray) -> np.ndarray:
    """Average-linkage clusters of WordNet's distances [N, N], `FAMILIES` at most: int [N], from 1."""
    from scipy.cluster.hierarchy import fcluster

    return fcluster(_linkage(wordnet), min(FAMILIES, len(wordnet)), "maxclust")


def _linkage(distances: np.ndarray) -> np.ndarray:
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    return linkage(squareform(distances, checks=False), "average")


def draw_tree(
    ax: Axes, distances: np.ndarray, classes: tuple[str, ...], colours: list[str], lines: str
) -> None:
    """Draw the average-linkage tree of distances [N, N] from right to left.

    Args:
        ax: to draw in.
        distances: of the classes.
        classes: their N names.
        colours: of the names.
        lines: colour of the tree.
    """
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(
        _linkage(distances), labels=list(classes), orientation="left", ax=ax,
        link_color_func=lambda _: lines,
    )  # fmt: skip
    for text, leaf in zip(ax.get_yticklabels(), drawn["leaves"], strict=True):
        text.set_color(colours[leaf])


def _tree(ax: Axes, distances: np.ndarray, classes: tuple[str, ...], colours: list[str], title: str) -> None:
    draw_tree(ax, distances, classes, colours, MUTED)
    ax.set_title(title, color=INK, fontsize=11, loc="left")
    ax.tick_params(axis="x", colors=MUTED, labelsize=8)
    ax.tick_params(axis="y", labelsize=9)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(MUTED)


def _turned(places: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Turn or mirror a map [N, 2] so that it lies as the other does: a map has no way up of its own."""
    from scipy.linalg import orthogonal_procrustes

    return places @ orthogonal_procrustes(places, towards)[0]


def _figure(columns: int, height: float):
    need("matplotlib", "plot", "a picture")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, height), layout="constrained")
    return figure, figure.subplots(1, columns)


def _save(figure, path: Path) -> None:
    from ....errors import VivavoceError

    if path.suffix.lower().lstrip(".") not in figure.canvas.get_supported_filetypes():
        raise VivavoceError(f"{path}: no picture format ends in {path.suffix!r}; use .png or .svg")
    save_figure(figure, path, dpi=150, facecolor="white")
