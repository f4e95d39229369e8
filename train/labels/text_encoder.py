"""Text encoders as .onnx files, with the tokenizer that Hugging Face's `tokenizers` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...artifacts.onnx_file import read_onnx
from ...artifacts.runtime import first_line, make_session
from ...console import need
from ...errors import VivavoceError
from ...text import plain

EMBEDDINGS = ("text_embeds", "sentence_embedding", "embeddings", "pooler_output", "last_hidden_state")
"""Names of outputs that hold embeddings, the best first; what else a file has is taken if it is alone."""
BATCH = 32


class TextEncoder:
    """Maps texts to embeddings float64 [N, D].

    Args:
        model: the .onnx file; takes `input_ids` and perhaps `attention_mask`, `token_type_ids` or
        `position_ids`. tokenizer: a `tokenizer.json`.

    Raises:
        VivavoceError: a file is missing or cannot be read, or the encoder takes something else.
    """

    def __init__(self, model: Path, tokenizer: Path) -> None:
        need("tokenizers", "text", "a text encoder")
        if model.suffix != ".onnx" or not model.is_file():
            raise VivavoceError(f"{model}: no such .onnx file of a text encoder")
        self.model = model
        graph = read_onnx(model).graph
        weights = {tensor.name for tensor in graph.initializer}
        entries = {v.name: v for v in graph.input if v.name not in weights}
        self.kinds = {name: v.type.tensor_type.elem_type for name, v in entries.items()}
        if "input_ids" not in entries or entries.keys() - {*_FEEDS}:
            shown = ", ".join(map(plain, entries))
            raise VivavoceError(f"{model}: a text encoder takes {', '.join(_FEEDS)}; this one takes {shown}")
        self.batch, self.length = (
            d.dim_value if d.dim_value > 0 else None
            for d in entries["input_ids"].type.tensor_type.shape.dim[:2]
        )
        names = [output.name for output in graph.output]
        self.output = next((n for n in EMBEDDINGS if n in names), names[0] if len(names) == 1 else None)
        if self.output is None:
            raise VivavoceError(
                f"{model}: none of its outputs ({', '.join(map(plain, names))}) has one of the names "
                f"{', '.join(EMBEDDINGS)}"
            )
        self.tokenizer = _tokenizer(tokenizer, self.length)
        self.session = make_session(model, str(model))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts; of states of tokens the mean."""
        size = self.batch or BATCH
        parts = [texts[k : k + size] for k in range(0, len(texts), size)]
        return np.concatenate([self._run(part, size if self.batch else 0) for part in parts])

    def _run(self, texts: Sequence[str], filled: int) -> np.ndarray:
        """One batch, filled up where the file's batch size is fixed."""
        count = len(texts)
        encoded = self.tokenizer.encode_batch([*texts, *[texts[-1]] * (filled - count)])
        tokens = np.array([each.ids for each in encoded], np.int64)
        mask = np.array([each.attention_mask for each in encoded], np.int64)
        made = {
            "input_ids": tokens,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(tokens),
            "position_ids": np.tile(np.arange(tokens.shape[1]), (len(tokens), 1)),
        }
        from onnx import helper

        types = {name: helper.tensor_dtype_to_np_dtype(kind) for name, kind in self.kinds.items()}
        feeds = {name: made[name].astype(kind) for name, kind in types.items()}
        try:
            found = np.asarray(self.session.run([self.output], feeds)[0]).astype(np.float64)[:count]
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise VivavoceError(f"{self.model}: onnxruntime failed on texts: {first_line(error)}") from error
        if found.ndim == 3 and found.shape[:2] == tokens[:count].shape:
            share = mask[:count, :, None]
            found = (found * share).sum(1) / share.sum(1)
        if found.ndim != 2 or len(found) != count:
            raise VivavoceError(
                f"{self.model}: its output {self.output!r} is {list(found.shape)} for {count} texts, not [N, "
                "D]"
            )
        return found


_FEEDS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


def _tokenizer(path: Path, length: int | None) -> Any:
    """Read a tokenizer that fills texts up to the longest of a batch, or to the length the file takes."""
    from tokenizers import Tokenizer

    if not path.is_file():
        raise VivavoceError(f"{path}: no such tokenizer; give the model's tokenizer.json with --tokenizer")
    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise VivavoceError(f"{path}: not a tokenizer.json that can be read ({first_line(error)})") from error
    given = found.padding or {}
    padding = {k: v for k, v in given.items() if k in ("pad_id", "pad_token", "pad_type_id", "direction")}
    found.enable_padding(length=length, **padding)
    if length is not None:
        found.enable_truncation(length)
    return found
