"""Operators outside the standard, written out as standard ones, so that rules stay few."""

from . import attention, classical, fused, layer_norm, products, recurrent, support_vectors
from .registry import LOWERINGS, SIZED, lower, lower_sized, set_aside

__all__ = [
    "LOWERINGS",
    "SIZED",
    "attention",
    "classical",
    "fused",
    "layer_norm",
    "lower",
    "lower_sized",
    "products",
    "recurrent",
    "set_aside",
    "support_vectors",
]
