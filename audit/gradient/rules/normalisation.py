"""Normalisations, with the statistics of inference."""

from __future__ import annotations

import numpy as np

from .. import layout
from ..errors import MissingRule
from ..value import Value
from .registry import Gradients, Node, rule


@rule("BatchNormalization")
def batch_normalization(node: Node, dy: Value) -> Gradients:
    """y = s (x - m) / (v + e)^(1/2) + b with stored statistics m, v per channel; dx = dy s / (v + e)^(1/2)."""
    if node.integer("training_mode"):
        raise MissingRule("it is in training mode, where one image's scores depend on the others")
    scale, variance = node.array(1, "scale"), node.array(4, "variance")
    slope = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + node.number("epsilon", 1e-5))
    if layout.blockable(dy):
        return layout.scale(dy, slope)
    columns = slope.astype(np.float32).reshape(-1, *[1] * (node.x.rank - 2))
    return dy * node.graph.constant(columns)
