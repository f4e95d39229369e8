"""The settings of a learned objective."""

from __future__ import annotations

import re

import msgspec

from ...errors import VivavoceError
from .registry import OBJECTIVES


class ObjectiveSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A learned objective's name and settings, resolved."""

    name: str
    """A key of `OBJECTIVES`."""
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

    def __post_init__(self) -> None:
        """Refuse a name that the registry lacks, also in a file."""
        if self.name not in OBJECTIVES:
            raise ValueError(f"no objective {self.name!r}; there are {', '.join(OBJECTIVES)}")


def resolve_settings(
    classes: int, name: str | None = None, label_dim: str | None = None, **given: object
) -> ObjectiveSettings | None:
    """Check and resolve the settings of an objective.

    Args:
        classes: number of classes C.
        name: a key of `OBJECTIVES`; None: the label's own loss, which none of the settings is for.
        label_dim: `C`, `10C` or a number of entries.
        given: other fields of `ObjectiveSettings`; None: not given.

    Raises:
        VivavoceError: no such objective, a setting that is not its own, or a value out of range.
    """
    settings = {key: value for key, value in given.items() if value is not None and value is not False}
    for key in [*settings, *(["label_dim"] if label_dim is not None else [])]:
        option, owners = f"--{key.replace('_', '-')}", _owners(key)
        if name is None:
            raise VivavoceError(f"{option} needs --objective {owners[0]}")
        if name in OBJECTIVES and name not in owners:
            raise VivavoceError(f"{option} is for {' and '.join(owners)}, not for {name}")
    if name is None:
        return None
    if name not in OBJECTIVES:
        raise VivavoceError(f"no objective {name!r}; there are {', '.join(OBJECTIVES)}")
    settings = dict(OBJECTIVES[name].defaults) | settings
    if OBJECTIVES[name].labels == "learned":
        settings["label_dim"] = _dimension(label_dim or "C", classes)
    resolved = msgspec.convert({"name": name, **settings}, ObjectiveSettings)
    if resolved.refresh_every < 1 or resolved.warm_up < 0 or resolved.repel < 0:
        raise VivavoceError("--refresh-every must be at least 1, --warm-up and --repel at least 0")
    if not 0 < resolved.label_momentum <= 1:
        raise VivavoceError(f"--label-momentum must be above 0 and at most 1, not {resolved.label_momentum}")
    return resolved


def _owners(option: str) -> list[str]:
    """The objectives that take an option: those that list it; all where none does."""
    return [name for name, o in OBJECTIVES.items() if option in o.options] or list(OBJECTIVES)


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
