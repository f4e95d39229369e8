"""Playing a model's answers to the automatic listener."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from ...artifacts import ExportedModel, Preprocessing, open_model
from ...artifacts.decoding import THRESHOLD
from ...artifacts.metrics import smooth_l1
from ...errors import VivavoceError
from ...images import Fit, ImageSet, match, open_images
from ...images.imageset import to_float
from ...sound.playback import waveform
from ...sound.speaking import Voice, check_voice, says_names
from ..answers import answer_images, sound_of
from .hearing import Heard, Hearing, count
from .listener import Listener

Progress = Callable[[str, int, int], None]
"""Called with the current step, and the finished and total number of sounds; see `audit.run.Progress`."""
BATCH = 32
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""How much of another class's label is blended in."""
BLENDS = 300
"""Blends that are heard at most."""


def listen(
    model: str,
    data: str | None = None,
    *,
    limit: int = 200,
    seed: int = 0,
    threshold: float | None = None,
    voice: Voice = "model",
    blends: bool = False,
    progress: Progress = lambda *_: None,
    preprocessing: Preprocessing | None = None,
) -> tuple[Hearing, list[Heard]]:
    """Let the automatic listener hear what a model says of labelled images.

    It stands in for the human listeners of Chen et al. 2021 (section 4.1 and appendix A.1), who chose a
    word or "none". This one always chooses a word. A model that predicts no sounds, but carries those of its
    class names, says the name of its decision.

    Args:
        model: file, or the name of a shipped model.
        data: as `open_images` takes it; None: the data set the model was trained on.
        limit: hear a stratified sample of at most this many images; 0: all.
        seed: of the sample, and of the blends.
        threshold: mean smooth L1 to compare with; None: the model's own.
        voice: whose sound is heard.
        blends: also hear blends of the bank's labels, whose losses fill the range, and suggest a threshold.
        progress: called with what is going on, how many sounds are done, and of how many.
        preprocessing: how a file without a manifest is fed, and the bank whose labels its outputs are.

    Returns:
        The counts, and every sound of a prediction.

    Raises:
        VivavoceError: the model does not speak, the data do not fit it, or a word cannot be heard.
    """
    opened = open_model(model, preprocessing)
    check_voice(opened)
    named = says_names(opened)
    if named and (blends or threshold is not None or voice == "label"):
        raise VivavoceError(
            f"{opened.path.name} says the stored names of its classes, which have no distance from a label; "
            "leave out --suggest-threshold, --threshold and --voice"
        )
    source = data or (opened.manifest.training.dataset if opened.manifest.training else None)
    if source is None:
        raise VivavoceError("this model does not record its training data; give --data")
    images, _ = match(open_images(source), opened.manifest.classes, opened.named)
    indices = images.sample(limit, seed)
    words = opened.manifest.spoken or opened.manifest.classes
    listener = Listener(words)
    sounds = list(_hear(opened, images, indices, listener, voice, progress))
    mixed = _hear_blends(opened, listener, seed, progress) if blends else []
    own = None if named else opened.manifest.decoding.threshold or THRESHOLD
    reach = own if threshold is None else threshold
    sample = f"all {len(indices)} images" if len(indices) == len(images) else (
        f"{len(indices)} of {len(images)} images, stratified, seed {seed}"
    )  # fmt: skip
    about = (opened.path.name, images.name, sample)
    return count(about, sounds, mixed, opened.manifest.classes, words, reach), sounds


def _hear(
    model: ExportedModel,
    images: ImageSet,
    indices: np.ndarray,
    listener: Listener,
    voice: Voice,
    progress: Progress,
) -> list[Heard]:
    """What is heard of each image."""
    fit, sounds = Fit.of(model.manifest.input), []
    for start in range(0, len(indices), BATCH):
        chosen = indices[start : start + BATCH]
        for i, answer in zip(chosen, answer_images(model, to_float(images.pixels(chosen, fit))), strict=True):
            true = int(images.labels[i])
            name = images.files[i] if images.files else str(i)
            heard = _word(listener, *sound_of(model, answer, voice))
            loss = None if says_names(model) or answer.label is None else _loss(answer.label, model, true)
            sounds.append(Heard(name, true, answer.index, heard, loss))
            progress("listening", len(sounds), len(indices))
    return sounds


def _hear_blends(model: ExportedModel, listener: Listener, seed: int, progress: Progress) -> list[Heard]:
    """What is heard of labels into which another class's label is blended."""
    label, bank = model.manifest.label, model.bank
    assert label is not None
    assert label.mel is not None
    assert bank is not None
    pairs = [(k, other) for k, other in product(range(len(bank)), repeat=2) if k != other]
    generator, sounds = np.random.default_rng(seed), []
    chosen = generator.permutation(len(pairs))[: max(BLENDS // len(SHARES), 1)]
    for (true, other), share in product([pairs[i] for i in chosen], SHARES):
        blend = (1 - share) * bank[true] + share * bank[other]
        nearest = int(((bank - blend) ** 2).mean((1, 2)).argmin())
        frames = label.frames[nearest] if label.frames else None
        heard = _word(listener, waveform(blend, frames, label.mel), label.mel.sample_rate)
        sounds.append(Heard(f"{share:g} of {other}", true, nearest, heard, _loss(blend, model, true)))
        progress("listening to blends", len(sounds), len(chosen) * len(SHARES))
    return sounds


def _word(listener: Listener, samples: np.ndarray, rate: int) -> int:
    heard = listener.hear(samples, rate)
    return listener.words.index(heard) if heard else -1


def _loss(label: np.ndarray, model: ExportedModel, true: int) -> float:
    """Mean smooth L1 between a label and that of a class."""
    assert model.bank is not None
    return float(smooth_l1(label.astype(np.float64) - model.bank[true]).mean())
