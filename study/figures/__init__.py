"""The papers' figures, drawn from a study's folder."""

from .registry import FIGURES, Figure, draw

__all__ = ["FIGURES", "Figure", "draw"]
