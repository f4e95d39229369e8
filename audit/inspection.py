"""`audit inspect`: what a model file contains and how vivavoce reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from rich.console import Console

from ..artifacts import ExportedModel, Manifest
from ..artifacts.identity import files_of, identify
from ..artifacts.onnx_model import OnnxModel
from ..errors import VivavoceError
from .target import Target


def show_model(model: ExportedModel, console: Console) -> None:
    """Print a readable page about a model."""
    for heading, lines in _sections(model):
        console.print(heading, style="bold")
        for line in lines:
            console.print(f"  {line}")


def _sections(model: ExportedModel) -> Iterator[tuple[str, list[str]]]:
    manifest = model.manifest
    yield model.path.name, _file_lines(model)
    yield "input", _input_lines(model)
    yield "answers", _answer_lines(model, _batch_dependent(model))
    if manifest.training:
        t = manifest.training
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.2%}" for name, value in t.accuracy.items())
        yield (
            "training",
            [
                f"{t.encoder} on {t.dataset}: {t.split}",
                f"recipe {t.recipe}, {t.epochs} epochs, seed {t.seed}",
                f"accuracy: {figures}",
                "made with " + ", ".join(f"{name} {v}" for name, v in t.versions.items()),
            ],
        )
    yield "gradient", _gradient_lines(model)


def _file_lines(model: ExportedModel) -> list[str]:
    files, identity = files_of(model.path), identify(model.path)
    within = f" in {len(files)} files" if len(files) > 1 else ""
    size, digest = f"{identity.bytes / 1e6:.2f} MB{within}", f"SHA-256 {identity.sha256}"
    if not isinstance(model, OnnxModel):
        return [f"TorchScript, {size}", digest]
    opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in model.graph.opset_import)
    maker = " ".join(filter(None, (model.graph.producer_name, model.graph.producer_version))) or "unknown"
    return [f"ONNX, opset {opsets}, made by {maker}, {size}", digest]


def _input_lines(model: ExportedModel) -> list[str]:
    entry = model.manifest.input
    cropped = f"shorter side to {entry.resize}, centre crop" if entry.resize else "centre crop"
    resized = "resized to fit" if entry.resize is None else cropped
    plain = set(entry.mean) == {0.0} and set(entry.std) == {1.0}
    # Without a manifest the numbers are the user's own, and vivavoce put them into the graph.
    known = model.normalisation is not None or model.preprocessing is not None
    place = "inside the graph" if known else "as its manifest says (the file shows no such step to compare)"
    numbers = "none" if plain else f"mean {_numbers(entry.mean)}, std {_numbers(entry.std)}, {place}"
    return [
        f"images {entry.channels} x {entry.height} x {entry.width}, {resized} ({entry.interpolation})",
        f"normalisation of 0..1: {numbers}",
    ]


def _answer_lines(model: ExportedModel, dependent: bool) -> list[str]:
    manifest, named = model.manifest, model.named
    names = ", ".join(manifest.classes[:12]) + (", …" if len(manifest.classes) > 12 else "")
    lines = [
        f"{len(manifest.classes)} classes: {names}" + ("" if named else " (the file does not name them)")
    ]
    if manifest.spoken:
        lines.append(
            "spoken: " + ", ".join(manifest.spoken[:12]) + (", …" if len(manifest.spoken) > 12 else "")
        )
    if manifest.label:
        shape = " x ".join(map(str, manifest.label.shape))
        low, high = manifest.label.minimum, manifest.label.maximum
        lines.append(f"labels: {manifest.label.kind}, {shape}, from {low:g} to {high:.3g}")
        threshold = manifest.decoding.threshold
        within = "" if threshold is None else f"; threshold: mean smooth L1 under {threshold:g}"
        lines.append(f"decoding: nearest neighbour{within}")
    else:
        lines.append("decoding: arg-max of the scores")
    if dependent:
        lines.append("batch-dependent: the scores of an image change with the other images of its batch")
    if model.understood:
        output, head = model.understood.output, model.understood.head
        if not output.alone and not output.chosen:
            lines.append(f"output: {output.name}, the only one that can be class scores")
        lines.append(f"head: {head.text}")
    return lines


def _gradient_lines(model: ExportedModel) -> list[str]:
    target = Target(model)
    target.try_gradient(_noise(model.manifest, 2))
    if not isinstance(model, OnnxModel):
        return ["available (torch)" if target.gradient_missing is None else target.gradient_missing]
    from ..gradient.support import support

    try:
        found = support(model.graph)
    except VivavoceError as error:
        return ["not available from the file itself", str(error)]
    kinds: dict[str, Counter[str]] = {}
    for operator, _, state, _ in found:
        kinds.setdefault(state, Counter())[operator] += 1
    lines = [
        f"{state}: " + ", ".join(f"{o} ({n})" for o, n in counts.items()) for state, counts in kinds.items()
    ]
    missing = [
        f"{operator} at node {node!r}: {reason}"
        for operator, node, state, reason in found
        if state == "missing"
    ]
    if target.gradient_missing is not None and not missing:
        missing = [target.gradient_missing]
    return [("not available" if missing else "available") + " from the file itself", *lines, *missing]


def _noise(manifest: Manifest, count: int) -> np.ndarray:
    entry = manifest.input
    shape = (count, entry.channels, entry.height, entry.width)
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def _batch_dependent(model: ExportedModel) -> bool:
    """Whether the file scores images differently one at a time."""
    images = _noise(model.manifest, 6)
    whole = model.answer(images).scores
    apart = np.concatenate([model.answer(images[k : k + 1]).scores for k in range(len(images))])
    return not np.allclose(whole, apart, rtol=0, atol=1e-3 * max(float(np.ptp(whole)), 1e-12), equal_nan=True)


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{v:.4g}" for v in values)
