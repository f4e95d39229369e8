"""From a run's settings to the module that computes its loss."""

from __future__ import annotations

import torch

from ..artifacts import LabelBank
from .labels.kinds import KINDS
from .learned.registry import OBJECTIVES, Request
from .model import Classifier
from .objectives import LabelObjective, LogitObjective, Objective
from .run import Config


def make_objective(
    config: Config, bank: LabelBank | None, device: torch.device, model: Classifier, samples: int
) -> Objective:
    """The loss of a run.

    Args:
        config: the run's configuration.
        bank: label bank, None for logits.
        device: where to train.
        model: the network; some objectives look at its features.
        samples: number of training images.
    """
    if config.objective:
        request = Request(config.objective, bank, model, samples, config.recipe.epochs)
        return OBJECTIVES[config.objective.name].build(request).to(device)
    if bank:
        return LabelObjective(bank, device, config.recipe)
    k = model.classes  # the recipe's share goes to all classes, the kind's to all others
    return LogitObjective(KINDS[config.label].smoothing or config.recipe.label_smoothing * (k - 1) / k)
