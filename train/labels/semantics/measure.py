"""The banks of a run or file, measured against WordNet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....artifacts.bank import LabelBank
from ....console import need
from ....errors import VivavoceError
from .correlation import Semantics, chance_level, label_distances, mean_tau
from .senses import find_synsets
from .wordnet import WordNet

FEWEST = 4
"""Classes below which an order of distances says nothing."""
VECTORS = "vectors"


@dataclass(frozen=True)
class Measured:
    """One bank's figures, and the distances that they and the pictures are made of."""

    name: str
    semantics: Semantics
    distances: np.ndarray
    """Of the labels that WordNet has [N, N]."""
    wordnet: np.ndarray
    """Of their synsets [N, N]."""


def open_banks(source: Path) -> dict[str, LabelBank]:
    """The banks of a training run, its own first, or the one in a file, by name.

    Raises:
        VivavoceError: the run or file holds no bank.
    """
    if not source.is_dir():
        return {source.stem: LabelBank.load(source)}
    files = [source / "bank.npz", *sorted((source / VECTORS).glob("*.npz"))]
    found = {path.stem: LabelBank.load(path) for path in files if path.is_file()}
    if not found:
        raise VivavoceError(
            f"{source}: no label vectors here; give a bank.npz, or a finished run of "
            "`vivavoce train --objective …`"
        )
    return found


def measure(banks: dict[str, LabelBank], wordnet: WordNet) -> list[Measured]:
    """Tau-b of each bank against WordNet, over the classes that it has.

    Args:
        banks: by name, all of the same classes.
        wordnet: the database.

    Raises:
        VivavoceError: too few classes are nouns of WordNet.
    """
    need("scipy", "train", "Kendall's tau")
    classes = next(iter(banks.values())).classes
    synsets = find_synsets(wordnet, classes)
    if len(synsets) < FEWEST:
        raise VivavoceError(
            f"WordNet has {len(synsets)} of these {len(classes)} classes ({', '.join(classes[:5])}, …) as "
            f"nouns; at least {FEWEST} are needed"
        )
    meanings = wordnet.distances(list(synsets.values()))
    if meanings[~np.eye(len(meanings), dtype=bool)].std() == 0:
        raise VivavoceError(
            "all these classes are equally far apart in WordNet: there is no order to compare"
        )
    chance = float(chance_level(meanings).std())
    here = tuple(classes[k] for k in synsets)
    missing = tuple(name for k, name in enumerate(classes) if k not in synsets)
    found = []
    for name, bank in banks.items():
        distances = label_distances(bank.labels[list(synsets)])
        tau = mean_tau(distances, meanings)
        found.append(Measured(name, Semantics(tau, chance, here, missing), distances, meanings))
    return found
