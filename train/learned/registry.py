"""The registry of learned objectives: every name, and the module that makes it. Importing this is cheap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ...artifacts import LabelBank
    from ..model import Classifier
    from ..objectives import Objective
    from .settings import ObjectiveSettings


@dataclass(frozen=True)
class Request:
    """What an objective is made for; each reads what it needs."""

    settings: ObjectiveSettings
    bank: LabelBank | None
    """The labels at the start; None: logits."""
    model: Classifier
    samples: int
    """Number of training images."""
    epochs: int
    """Of the whole run."""


@dataclass(frozen=True)
class LearnedObjective:
    """One objective."""

    summary: str
    module: str
    """Module in this folder whose `build(Request)` makes the objective."""
    labels: Literal["one-hot", "vectors", "learned"] = "one-hot"
    """What the network learns to give: one-hot rows, the vectors of a label kind, or labels of its own."""
    options: frozenset[str] = field(default_factory=frozenset)
    """Fields of `ObjectiveSettings` that only some objectives take, this one among them."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Those of its options whose default differs from that of `ObjectiveSettings`."""
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Rows of a study's comparison: name -> settings."""
    vectors: str = "vectors/outputs"
    """Which bank of a run holds the class vectors whose meaning a study measures."""

    def build(self, request: Request) -> Objective:
        """Make the objective."""
        return import_module(f".{self.module}", __package__).build(request)


_LWAL = frozenset(
    {
        "label_dim", "repel", "refresh_every", "warm_up", "detach_labels", "label_momentum",
        "recompute_labels",
    }
)  # fmt: skip
_LWR: dict[str, Any] = {"options": frozenset({"refresh_every"}), "defaults": {"refresh_every": 5}}

OBJECTIVES: dict[str, LearnedObjective] = {
    "std": LearnedObjective("cross-entropy on one-hot labels", "std", methods={"std": {}}),
    "static": LearnedObjective(
        "Huber loss to fixed word vectors", "static", labels="vectors", methods={"static": {}}
    ),
    "lwr": LearnedObjective(
        "learning with retrospection, as its own paper",
        "lwr",
        methods={f"lwr{k}": {"refresh_every": k} for k in (2, 3, 5)},
        **_LWR,
    ),
    "lwr-port": LearnedObjective(
        "the same as the adaptive-label authors' code has it",
        "lwr_port",
        methods={f"lwr{k}-port": {"refresh_every": k} for k in (2, 3, 5)},
        **_LWR,
    ),
    "labelembed": LearnedObjective(
        "label embedding network, as its own paper",
        "labelembed",
        methods={"labelembed": {}},
        vectors="vectors/embedding",
    ),
    "labelembed-port": LearnedObjective(
        "the same as the adaptive-label authors' code has it, faults included",
        "labelembed_port",
        methods={"labelembed-port": {}},
        vectors="vectors/embedding",
    ),
    "lwal": LearnedObjective(
        "adaptive labels: the class means of the network's own outputs",
        "lwal",
        labels="learned",
        options=_LWAL,
        methods={
            "lwal": {},
            "lwal10": {"label_dim": "10C"},
            "lwal10+rpl": {"label_dim": "10C", "repel": 10.0},
        },
        vectors="bank",
    ),
}
"""Every learned objective, and those of the adaptive-label paper that it is compared with."""
