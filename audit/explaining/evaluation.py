"""The figures of `--evaluate`: one row a method, means over the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...artifacts.onnx_model import OnnxModel
from .explainer import Explainer
from .faithfulness import area, curves
from .sanity import randomised, rank_correlation

RANDOM = "random order"
"""The row that methods are compared with: pixels in random order."""


@dataclass
class Row:
    """What was measured of one method."""

    name: str
    deletion: float
    """Mean area under the deletion curve; smaller is better."""
    insertion: float
    """Mean area under the insertion curve; larger is better."""
    gap: float | None
    """Largest completeness error of integrated gradients."""
    correlations: tuple[float, ...] = ()
    """Mean rank correlation with the heatmap of each stage's model; NaN: a map is constant."""


@dataclass(frozen=True)
class Evaluated:
    """The whole table."""

    rows: list[Row]
    stages: tuple[tuple[int, int], ...]
    """How many of how many layers were random."""
    images: int


def evaluate(
    explainer: Explainer,
    images: np.ndarray,
    classes: np.ndarray,
    advance: Callable[[], None] = lambda: None,
) -> Evaluated:
    """Measure every method of an explainer on a batch of images.

    Args:
        explainer: checked on these images.
        images: float32 [N, C, H, W] in 0..1.
        classes: int64 [N].
        advance: called after each method, and after each stage of randomisation.
    """
    rows, before = [], {}
    for method in explainer.methods:
        found = explainer.explain(method, images, classes)
        before[method.name] = heat = method.heat(found.attribution)
        gap = None if found.gap is None else float(found.gap.max())
        rows.append(_row(explainer, method.name, images, heat, classes, gap))
        advance()
    stages: list[tuple[int, int]] = []
    if isinstance(explainer.model, OnnxModel):
        for stage in randomised(explainer.model, explainer.choices.seed):
            other = explainer.with_model(stage.model)
            for method, row in zip(explainer.methods, rows, strict=True):
                heat = method.heat(other.explain(method, images, classes).attribution)
                found = rank_correlation(np.abs(before[method.name]), np.abs(heat))
                row.correlations += (float(found.mean()),)
            stages.append((stage.layers, stage.of))
            advance()
    noise = np.random.default_rng(explainer.choices.seed).random((len(images), *images.shape[2:]))
    rows.append(_row(explainer, RANDOM, images, noise, classes, None))
    return Evaluated(rows, tuple(stages), len(images))


def _row(
    explainer: Explainer,
    name: str,
    images: np.ndarray,
    heat: np.ndarray,
    classes: np.ndarray,
    gap: float | None,
) -> Row:
    found = curves(explainer.subject.model, images, heat, classes)
    return Row(name, float(area(found.deletion).mean()), float(area(found.insertion).mean()), gap)
