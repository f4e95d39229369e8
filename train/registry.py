"""From a run's settings to the module that computes its loss."""

from __future__ import annotations

import torch

from ..artifacts import LabelBank
from .labels.kinds import KINDS
from .learned.aim import Aim
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
    if config.aim:
        return _learned(config.aim, bank, model, samples, config.recipe.epochs).to(device)
    if bank:
        return LabelObjective(bank, device, config.recipe)
    k = model.classes  # the recipe's share goes to all classes, the kind's to all others
    return LogitObjective(KINDS[config.label].smoothing or config.recipe.label_smoothing * (k - 1) / k)


def _learned(aim: Aim, bank: LabelBank | None, model: Classifier, samples: int, epochs: int) -> Objective:
    """The objective that `aim` names.

    Args:
        aim: name and settings.
        bank: for `static` the word vectors, for `lwal` the labels at the start.
        model: the network.
        samples: number of training images.
        epochs: of the whole run.
    """
    if aim.name == "std":
        return LogitObjective()
    if bank is not None:
        from .learned.lwal import AdaptiveLabels
        from .learned.static import StaticLabels

        return AdaptiveLabels(bank, aim) if aim.name == "lwal" else StaticLabels(bank)
    classes = model.classes
    if aim.name.startswith("lwr"):
        from .learned.lwr import Retrospection
        from .learned.lwr_port import RetrospectionPort

        made = Retrospection if aim.name == "lwr" else RetrospectionPort
        return made(samples, classes, epochs, aim.refresh_every)
    from .learned.labelembed import LabelEmbedding
    from .learned.labelembed_port import LabelEmbeddingPort

    made = LabelEmbedding if aim.name == "labelembed" else LabelEmbeddingPort
    return made(model, classes)
