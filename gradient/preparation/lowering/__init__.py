"""Operators outside the standard, written out as standard ones, so that rules stay few."""

from . import attention, classical, fused, layer_norm, products, support_vectors
from .registry import LOWERINGS, lower, set_aside

__all__ = [
    "LOWERINGS",
    "attention",
    "classical",
    "fused",
    "layer_norm",
    "lower",
    "products",
    "set_aside",
    "support_vectors",
]
