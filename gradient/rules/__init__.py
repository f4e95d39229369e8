"""Reverse-mode rules, one small function per ONNX operator, grouped by family."""

from . import (
    activation,
    arithmetic,
    convolution,
    indexing,
    matmul,
    normalisation,
    pooling,
    quantisation,
    reduction,
    sampling,
    shape,
)
from .registry import RULES, Node, Rule

__all__ = [
    "RULES",
    "Node",
    "Rule",
    "activation",
    "arithmetic",
    "convolution",
    "indexing",
    "matmul",
    "normalisation",
    "pooling",
    "quantisation",
    "reduction",
    "sampling",
    "shape",
]
