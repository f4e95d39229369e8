"""Learned labels and what they are compared with, by the names of the adaptive-label paper's tables."""

from __future__ import annotations

from typing import Any

METHODS: dict[str, dict[str, Any]] = {
    "std": {"name": "std"},
    "static": {"name": "static"},
    **{f"lwr{k}": {"name": "lwr", "refresh_every": k} for k in (2, 3, 5)},
    **{f"lwr{k}-port": {"name": "lwr-port", "refresh_every": k} for k in (2, 3, 5)},
    "labelembed": {"name": "labelembed"},
    "labelembed-port": {"name": "labelembed-port"},
    "lwal": {"name": "lwal"},
    "lwal10": {"name": "lwal", "label_dim": "10C"},
    "lwal10+rpl": {"name": "lwal", "label_dim": "10C", "repel": 10.0},
}
"""Rows of the paper's tables, and what `train.learned.aim.make_aim` takes for each."""
BASELINE = "std"
VECTORS = {"lwal": "bank", "labelembed": "vectors/embedding"}
"""Which bank of a run holds the class vectors whose meaning is measured; else the mean outputs."""


def vectors(method: str) -> str:
    """File name of the bank with a method's class vectors, in its run's folder."""
    name = METHODS[method]["name"].removesuffix("-port")
    return f"{VECTORS.get(name, 'vectors/outputs')}.npz"
