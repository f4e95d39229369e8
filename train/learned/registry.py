"""From an objective's name to the module that computes it."""

from __future__ import annotations

from ...artifacts import LabelBank
from ..model import Classifier
from ..objectives import LogitObjective, Objective
from .aim import Aim


def make(aim: Aim, bank: LabelBank | None, model: Classifier, samples: int, epochs: int) -> Objective:
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
        from .lwal import AdaptiveLabels
        from .static import StaticLabels

        return AdaptiveLabels(bank, aim) if aim.name == "lwal" else StaticLabels(bank)
    classes = model.classes
    if aim.name.startswith("lwr"):
        from .lwr import Retrospection
        from .lwr_port import RetrospectionPort

        made = Retrospection if aim.name == "lwr" else RetrospectionPort
        return made(samples, classes, epochs, aim.refresh_every)
    from .labelembed import LabelEmbedding
    from .labelembed_port import LabelEmbeddingPort

    made = LabelEmbedding if aim.name == "labelembed" else LabelEmbeddingPort
    return made(model, classes)
