"""The adaptive-label paper's methods side by side: one run for each method and seed, then a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import VivavoceError
from ..data import Part, Splits
from ..epoch import Epoch
from ..loop import Trainer
from ..parallel import World
from ..run import CHECKPOINT, CONFIG, RESULT, read_tensors
from ..setup import Choices, prepare
from .setting_up import default_label

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
"""Rows of the paper's tables, and what `make_aim` takes for each."""
BASELINE = "std"
VECTORS = {"lwal": "bank", "labelembed": "vectors/embedding"}
"""Which bank of a run holds the class vectors whose meaning is measured; else the mean outputs."""


@dataclass(frozen=True)
class Cell:
    """One finished run."""

    method: str
    seed: int
    history: tuple[Epoch, ...]
    vectors: Path
    """The bank of its class vectors."""
    features: Path
    """The bank of its mean features, a control."""

    def curve(self, train_mode: bool = False) -> list[float]:
        """Test accuracy after each epoch."""
        name = "test_accuracy_train_mode" if train_mode else "test_accuracy"
        return [getattr(epoch, name) for epoch in self.history]

    @property
    def seconds(self) -> list[float]:
        """What each epoch took."""
        return [epoch.seconds for epoch in self.history]


@dataclass(frozen=True)
class Comparison:
    """Which runs are made; each is a folder `method-seed` under `out`."""

    base: Choices
    methods: Sequence[str]
    seeds: Sequence[int]
    out: Path
    test_limit: int = 0
    """Draw the curves on this many test images, the same for all, and choose the epoch that is kept on as
    many for validation; 0: on all."""

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        for method in self.methods:
            if method not in METHODS:
                raise VivavoceError(f"no method {method!r}; there are {', '.join(METHODS)}")
        if BASELINE not in self.methods:
            raise VivavoceError(f"the methods must have {BASELINE} among them: time saved is against it")

    def train(self, device: torch.device, to_end: Callable[[Trainer], object]) -> Iterator[Cell]:
        """Train what is not yet trained, seed by seed, and give every finished run."""
        for seed in self.seeds:
            splits = None
            for method in self.methods:
                folder = self.out / f"{method}-{seed}"
                if not (folder / RESULT).exists():
                    choices = self._choices(method, seed)
                    splits = splits or self._splits(choices)
                    to_end(prepare(choices, folder, device, (folder / CONFIG).exists(), World(), splits))
                yield read_cell(folder, method, seed)

    def _choices(self, method: str, seed: int) -> Choices:
        aim: dict[str, Any] = METHODS[method] | {"train_mode_eval": True}
        return replace(self.base, label=default_label(aim["name"], None, None), seed=seed, objective=aim)

    def _splits(self, choices: Choices) -> Splits:
        splits = choices.splits()
        return replace(splits, validation=self._some(splits.validation), test=self._some(splits.test))

    def _some(self, part: Part) -> Part:
        if not 0 < self.test_limit < len(part):
            return part
        return part.subset(np.random.default_rng(0).permutation(len(part))[: self.test_limit])


def read_cell(folder: Path, method: str, seed: int) -> Cell:
    """Read what a finished run left."""
    _, about = read_tensors(folder / CHECKPOINT)
    vectors = VECTORS.get(METHODS[method]["name"].removesuffix("-port"), "vectors/outputs")
    history = tuple(Epoch(**epoch) for epoch in about["history"])
    return Cell(method, seed, history, folder / f"{vectors}.npz", folder / "vectors" / "features.npz")
