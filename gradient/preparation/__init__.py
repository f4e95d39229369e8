"""Preparation: from a model as somebody exported it to one that the rules can walk through."""

from .pipeline import fix_shape, normalise, specialise

__all__ = ["fix_shape", "normalise", "specialise"]
