"""What the model looks at in the images of a report."""

from __future__ import annotations

import numpy as np

from ...artifacts import ExportedModel
from ...errors import VivavoceError
from ..explaining.colours import overlay
from ..explaining.explainer import Explainer, Wishes
from .examples import Answered


def looks(model: ExportedModel, answers: list[Answered]) -> tuple[str, list[np.ndarray]]:
    """Grad-CAM of each answer's class, or saliency where the model has no layer for it.

    A report costs little more by either: one gradient an image.

    Returns:
        The method's title, and each image under its heatmap, float [3, H, W] in 0..1. No images if the model
        has no gradient.
    """
    if not answers:
        return "", []
    images = np.stack([answer.image for answer in answers])
    classes = np.array([model.manifest.classes.index(answer.name) for answer in answers])
    try:
        try:
            explainer = Explainer(model, Wishes(("grad-cam",)))
        except VivavoceError:
            explainer = Explainer(model, Wishes(("saliency",)))
        explainer.check(images)
        (method,) = explainer.methods
        if method.needs == "answers":
            return "", []
        heat = method.heat(explainer.explain(method, images, classes).attribution)
    except VivavoceError:
        return "", []
    pixels = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    covered = [overlay(p, h, method.signed) for p, h in zip(pixels, heat, strict=True)]
    return method.title, [c.transpose(2, 0, 1) / 255 for c in covered]
