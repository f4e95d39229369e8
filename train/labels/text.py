"""`text`: the embedding of a text for each class, as zero-shot classifiers take it (Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...artifacts.bank import LabelBank
from ...errors import VivavoceError
from .bert import PACKAGE, open_encoder, package_folder
from .kinds import Request

TEMPLATE = "a photo of a {}"


def build(request: Request) -> LabelBank:
    """Embed the class names in every template: the mean of the templates' directions, of length 1.

    With `text_model` an .onnx text encoder does it, else the Hugging Face encoder in the folder `model` or
    that of the `bert` extra: the mean of its last hidden states.

    Raises:
        VivavoceError: no encoder, or a template without a place for the name.
    """
    templates = tuple(request.templates) or (TEMPLATE,)
    for template in templates:
        if "{}" not in template:
            raise VivavoceError(f'--template {template!r} has no {{}} for the name, as in "{TEMPLATE}"')
    texts = [template.replace("{}", name) for template in templates for name in request.texts]
    if request.text_model is not None:
        rows, model = embed(request.text_model, request.tokenizer, texts), request.text_model.name
    else:
        rows = _sentences(request.model or package_folder(), texts)
        model = PACKAGE if request.model is None else request.model.resolve().name
    if not (np.isfinite(rows).all() and rows.any(1).all()):
        raise VivavoceError(f"{model}: the embedding of a text is zero, or not a number")
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    labels = directions.reshape(len(templates), len(request.texts), -1).mean(0)
    labels /= np.linalg.norm(labels, axis=1, keepdims=True)
    recipe: dict[str, str | int | float] = {"model": model, "templates": " | ".join(templates)}
    return LabelBank("text", labels.astype(np.float32), request.classes, recipe=recipe)


def _sentences(folder: Path, texts: Sequence[str]) -> np.ndarray:
    """The mean of a Hugging Face encoder's last hidden states for each text: [N, D]."""
    with open_encoder(folder) as (tokenizer, encoder):
        states = [encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state[0] for text in texts]
        return np.stack([state.float().mean(0).numpy() for state in states]).astype(np.float64)


def embed(model: Path, tokenizer: Path | None, texts: Sequence[str]) -> np.ndarray:
    """The embeddings of texts by an .onnx text encoder: float64 [N, D].

    Raises:
        VivavoceError: a file is missing or is not what it should be, or the encoder fails.
    """
    from .text_encoder import TextEncoder

    return TextEncoder(model, tokenizer or model.with_name("tokenizer.json"))(texts)
