"""What is customary in each norm: attacks, epsilons, and what an epsilon is."""

from __future__ import annotations

from .attacks.norms import Norm

FREE: dict[Norm, tuple[str, ...]] = {
    "linf": ("square-300",), "l2": ("square-300",), "l1": ("square-300",), "l0": ("sparse-rs",),
    "patch": ("patch-rs",),
}  # fmt: skip
"""What runs without a gradient, if the protocol has nothing else."""
COUNTED: dict[Norm, str] = {"l0": "pixels changed", "patch": "size of the patch, share of the image"}
"""What epsilon is where it is no distance."""
PIECEWISE = ("square", "boundary")
"""Attacks on models whose scores are piecewise constant: Square with many queries, and one on decisions."""

EPSILONS: dict[Norm, tuple[float, ...]] = {"l2": (0.5,), "l1": (12.0,), "l0": (24.0,), "patch": (0.05,)}
"""The customary radius of balls that are no boxes, for small images in 0..1."""
STANDARD: dict[Norm, tuple[str, ...]] = {"l0": ("sigma-zero", "sparse-rs")}
"""Attacks of the protocol `standard`, where they differ from those of the other norms."""

SMALLEST: dict[Norm, tuple[str, ...]] = {"l0": ("sigma-zero-minimum",)}
"""What looks for the smallest change, where it is not FMN."""
GRIDS: dict[Norm, tuple[float, ...]] = {
    "linf": tuple(k / 255 for k in (0.5, 1, 2, 4, 8, 16)),
    "l2": (0.05, 0.1, 0.25, 0.5, 1, 2), "l1": (0.5, 1, 2, 4, 8, 16), "l0": (1, 2, 4, 8, 16, 32),
}  # fmt: skip
"""Epsilons of the table of a search for the smallest changes; the search itself needs none."""
