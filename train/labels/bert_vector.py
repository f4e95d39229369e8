"""`bert-vector`: the pooled state of a BERT-family encoder for the class name (Yu & Verma's StaticLabel)."""

from __future__ import annotations

import numpy as np

from ...artifacts.bank import LabelBank
from ...errors import VivavoceError
from .bert import PACKAGE, open_encoder, package_folder
from .kinds import Request


def build(request: Request) -> LabelBank:
    """Encode each class's name and take the pooler's output: a dense layer and tanh on [CLS].

    The authors have not released their vectors and do not say how they pooled; for texts they take the
    pooler's output.

    Raises:
        VivavoceError: no encoder, or one without a pooler.
    """
    folder = request.model or package_folder()
    with open_encoder(folder) as (tokenizer, encoder):
        found = [encoder(**tokenizer(text, return_tensors="pt")) for text in request.texts]
        if getattr(found[0], "pooler_output", None) is None:
            raise VivavoceError(f"{folder}: an encoder without a pooler; give one of the BERT family")
        labels = np.stack([each.pooler_output[0].float().numpy() for each in found])
    name = PACKAGE if request.model is None else folder.resolve().name
    recipe: dict[str, str | int | float] = {"model": name, "pooling": "pooler"}
    return LabelBank("bert-vector", labels, request.classes, recipe=recipe)
