"""Preparation: from a model as somebody exported it to one that the rules can walk through."""

from .pipeline import normalise, specialise

__all__ = ["normalise", "specialise"]
