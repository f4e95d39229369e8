"""Which of the second paper's objectives a run trains with, and its settings."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ...errors import VivavoceError
from .names import OBJECTIVES

Name = Literal["std", "static", "lwr", "lwr-port", "labelembed", "labelembed-port", "lwal"]

ONLY: dict[str, tuple[str, ...]] = {
    "refresh_every": ("lwal", "lwr", "lwr-port"),
    **dict.fromkeys(
        ("label_dim", "repel", "warm_up", "detach_labels", "label_momentum", "recompute_labels"), ("lwal",)
    ),
}
"""Which objectives a setting makes a difference to; those not listed are everybody's."""


class Aim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An objective of Yu & Verma's comparison and its settings, resolved."""

    name: Name
    label_dim: int | None = None
    """`lwal`: entries of one learned label."""
    repel: float = 0.0
    """`lwal`: weight of the loss that pushes outputs of different classes apart."""
    refresh_every: int = 1
    """`lwal`: steps between two refreshes of the labels; `lwr`: epochs between two stores."""
    warm_up: int = 0
    """`lwal`: steps in which the labels stay the rows of the identity."""
    detach_labels: bool = False
    """`lwal`: no gradient through the labels."""
    label_momentum: float = 1.0
    """`lwal`: share of the new class means in the refreshed labels; 1: full replacement."""
    recompute_labels: bool = False
    """`lwal`: at the end take the labels from the whole training set, not from the last batch."""
    train_mode_eval: bool = False
    """Also judge every epoch on the test part with the network in training mode, as the authors' code."""


def make_aim(
    classes: int, name: str | None = None, label_dim: str | None = None, **given: object
) -> Aim | None:
    """Check and resolve the settings of an objective.

    Args:
        classes: number of classes C.
        name: a key of `OBJECTIVES`; None: the label's own loss, which none of the settings is for.
        label_dim: `C`, `10C` or a number of entries.
        given: other fields of `Aim`; None: not given.

    Raises:
        VivavoceError: no such objective, a setting that is not its own, or a value out of range.
    """
    settings = {key: value for key, value in given.items() if value is not None and value is not False}
    for key in [*settings, *(["label_dim"] if label_dim is not None else [])]:
        option, owners = f"--{key.replace('_', '-')}", ONLY.get(key, tuple(OBJECTIVES))
        if name is None:
            raise VivavoceError(f"{option} needs --objective {owners[0]}")
        if name in OBJECTIVES and name not in owners:
            raise VivavoceError(f"{option} is for {' and '.join(owners)}, not for {name}")
    if name is None:
        return None
    if name not in OBJECTIVES:
        raise VivavoceError(f"no objective {name!r}; there are {', '.join(OBJECTIVES)}")
    if name.startswith("lwr"):
        settings.setdefault("refresh_every", 5)
    if name == "lwal":
        settings["label_dim"] = _dimension(label_dim or "C", classes)
    aim = msgspec.convert({"name": name, **settings}, Aim)
    if aim.refresh_every < 1 or aim.warm_up < 0 or aim.repel < 0:
        raise VivavoceError("--refresh-every must be at least 1, --warm-up and --repel at least 0")
    if not 0 < aim.label_momentum <= 1:
        raise VivavoceError(f"--label-momentum must be above 0 and at most 1, not {aim.label_momentum}")
    return aim


def _dimension(text: str, classes: int) -> int:
    found = re.fullmatch(r"(\d*)(C?)", text.strip().upper())
    if not found or not text.strip():
        raise VivavoceError(f"--label-dim {text}: give C, 10C or a number of entries")
    size = int(found[1] or 1) * (classes if found[2] else 1)
    if size < classes:
        raise VivavoceError(
            f"--label-dim {text}: {size} entries are fewer than the {classes} classes, whose labels begin as "
            "rows of the identity"
        )
    return size
