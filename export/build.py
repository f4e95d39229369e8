"""From a finished run to a file under the contract, checked before it is kept."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from ..artifacts import LabelBank, Manifest, open_model
from ..artifacts.decoding import THRESHOLD
from ..artifacts.encoder_bank import own_metric
from ..artifacts.manifest import Decoding, Input, Names, Training
from ..errors import VivavoceError
from ..files import check_parent, replacing
from ..train.data import open_splits
from ..train.model import Contract
from ..train.run import NAMES, Config, load_trained, read_bank, read_config
from ..train.texts import is_text
from .parity import SOUNDS, Parity, compare, compare_sound, parity_images
from .writer import Writer

FORMATS = (".onnx", ".pt", ".pt2")


def export_run(
    run: Path,
    output: Path,
    dataset: str | None = None,
    audio: bool = False,
    data_note: str | None = None,
) -> tuple[Manifest, Parity]:
    """Write the trained model of `run` to `output`, after comparing the file with the model.

    Args:
        run: folder of a finished run.
        output: `.onnx`, `.pt` or `.pt2`.
        dataset: where the data set lies now, for the comparison; None: where the run found it.
        audio: put the vocoder into the file too: outputs `waveform` and `samples`; `.onnx` only.
        data_note: said of the data in the manifest, behind the split.

    Returns:
        The manifest in the file, and the parity it stores.

    Raises:
        VivavoceError: the run is not finished, the suffix is unknown, file and model disagree, or there
            is no sound to put in.
    """
    if output.suffix not in FORMATS:
        raise VivavoceError(f"{output}: exports are {', '.join(FORMATS)}")
    check_parent(output)
    if audio and output.suffix != ".onnx":
        raise VivavoceError(
            f"{output}: only .onnx files can carry the sound; give --output {output.stem}.onnx"
        )
    config, bank, model, result = load_trained(run)
    if is_text(config.source):
        raise VivavoceError(f"{run}: a classifier of texts; exported files take images, so it stays a run")
    names = read_bank(run, NAMES)
    contract = Contract(model, bank, names).eval()
    splits = open_splits(dataset or config.source, config.seed, side=config.size[0])
    images = parity_images(splits.test.images, config.seed)
    manifest = describe(config, bank, result, data_note, names)
    with replacing(output) as trial:
        write = _convert(contract, manifest, output.suffix, audio)
        write(manifest, trial)
        model = open_model(trial, trust=True)
        parity = compare(model, contract, images)
        if audio:
            compare_sound(model, images[:SOUNDS])
        assert manifest.training is not None
        training = msgspec.structs.replace(manifest.training, parity=asdict(parity))
        manifest = msgspec.structs.replace(manifest, training=training)
        write(manifest, trial)
    return manifest, parity


def _convert(contract: Contract, manifest: Manifest, suffix: str, audio: bool) -> Writer:
    if suffix == ".onnx":
        from .to_onnx import to_onnx

        return to_onnx(contract, manifest, audio)
    if suffix == ".pt":
        from .to_torchscript import to_torchscript

        return to_torchscript(contract, manifest)
    from .to_pt2 import to_pt2

    return to_pt2(contract, manifest)


def describe(
    config: Config,
    bank: LabelBank | None,
    result: dict[str, Any],
    data_note: str | None = None,
    names: LabelBank | None = None,
) -> Manifest:
    """The manifest of a finished run."""
    return Manifest(
        classes=config.classes,
        spoken=config.spoken,
        label=bank.describe() if bank else None,
        names=Names(names.labels.shape[1:], names.mel, names.frames) if names and names.mel else None,
        schema=2 if names else 1,
        decoding=_decoding(config, bank),
        input=Input(*config.size, mean=config.mean, std=config.std),
        training=Training(
            dataset=config.dataset,
            split=f"{config.split}; {data_note}" if data_note else config.split,
            encoder=config.encoder,
            recipe=", ".join(_steps(config)),
            epochs=result["epochs"],
            seed=config.seed,
            accuracy=result["accuracy"],
            versions=config.versions | {name: version(name) for name in ("onnx", "onnxscript")},
        ),
    )


def _steps(config: Config) -> list[str]:
    """A run's recipe, and what the run did beside it, in words."""
    steps = [config.recipe.name]
    if config.objective:
        steps.append(config.objective.name)
    if config.adversarial:
        steps.append(str(config.adversarial))
    if config.recipe.freeze_encoder:
        steps.append("encoder frozen")
    if config.weights:
        steps.append(f"started from {_origin(Path(config.weights))}")
    return steps


def _origin(weights: Path) -> str:
    """What a run started from, without the way to it: the path may be a private one."""
    try:
        earlier = read_config(weights)
    except VivavoceError:  # no run, or one that is gone
        return weights.name
    return f"({', '.join(_steps(earlier))}, {earlier.recipe.epochs} epochs)"


def _decoding(config: Config, bank: LabelBank | None) -> Decoding:
    """The threshold is for labels in decibels.

    Those of the adaptive-label paper have scales of their own, and so have banks of a metric.
    """
    if bank is None:
        return Decoding("argmax")
    return Decoding("nearest", None if config.objective or own_metric(bank) else THRESHOLD)
