"""Explanations in Python: `vivavoce.explain`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...artifacts import ExportedModel, decide, open_model
from ...errors import VivavoceError
from .explainer import Explainer, Wishes, class_number
from .subject import Quantity


class Explained(NamedTuple):
    """Heatmaps of a batch of N images."""

    heat: np.ndarray
    """float32 [N, H, W]: one number per pixel."""
    attribution: np.ndarray
    """float32 [N, C, H, W], or [N, 1, H, W] from methods that know no channels."""
    classes: np.ndarray
    """int64 [N]: the explained classes."""
    method: str
    """The method; `occlusion` if the model has no gradient for the one that was chosen."""
    layer: str | None
    """The layer of grad-cam and hirescam."""
    gap: np.ndarray | None
    """The completeness error of integrated gradients as a share, float64 [N]."""
    notes: tuple[str, ...]
    """Why a different method was used."""


def explain(
    model: str | Path | ExportedModel,
    images: np.ndarray,
    method: str | None = None,
    *,
    classes: np.ndarray | None = None,
    against: int | str | None = None,
    quantity: Quantity = "score",
    layer: str | None = None,
    patch: str | None = None,
    seed: int = 0,
) -> Explained:
    """Show which pixels move a model's score, as `audit explain` does.

    Args:
        model: path, name of a shipped model, or a model from `open_model`.
        images: float32 [N, C, H, W] in 0..1, of the size that the model takes.
        method: a name in docs/explain.md; None: grad-cam, or integrated-gradients for a model without
            convolution.
        classes: int64 [N], which class to explain for each image; None: the model's decisions.
        against: a class by name or number; explain the score of the class minus that of this one.
        quantity: `score`, `probability`, or `distance` (label models only).
        layer: for grad-cam and hirescam; None: the last convolutional one.
        patch: a part of the spoken word, such as `20:45,2000:8000`; per cent of the word and hertz.
        seed: of smoothgrad and rise.

    Raises:
        VivavoceError: no such model, method, layer or class, or images of a different shape.
    """
    opened = open_model(model) if isinstance(model, str | Path) else model
    entry, count = opened.manifest.input, len(opened.manifest.classes)
    images = np.asarray(images, np.float32)
    wanted = (entry.channels, entry.height, entry.width)
    if images.ndim != 4 or images.shape[1:] != wanted or not len(images):
        sizes = ", ".join(map(str, wanted))
        raise VivavoceError(f"{opened.path}: takes images [N, {sizes}], not {list(images.shape)}")
    notes: list[str] = []
    rival = None if against is None else str(against)
    methods = () if method is None else (method,)
    explainer = Explainer(opened, Wishes(methods, quantity, rival, layer, seed, patch), notes.append)
    goals = decide(opened.answer(images).scores) if classes is None else np.asarray(classes)
    if goals.shape != (len(images),) or goals.dtype.kind not in "iu":
        raise VivavoceError(
            f"{len(images)} images need as many classes, whole numbers; not {list(goals.shape)}"
        )
    if goals.min() < 0 or goals.max() >= count:
        raise VivavoceError(f"the classes are 0 to {count - 1}; give `classes` within")
    if rival is not None and (goals == class_number(opened, rival)).any():
        raise VivavoceError(f"`against` is the class {rival} of one of the images; give a different one")
    explainer.check(images)
    (chosen,) = explainer.methods
    found = explainer.explain(chosen, images, goals)
    used = explainer.choices.layer if chosen.needs == "layer" else None
    heat = chosen.heat(found.attribution)
    return Explained(heat, found.attribution, goals, chosen.name, used, found.gap, tuple(notes))
