"""The page that `audit inspect` prints."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.console import Console

from ...artifacts.interface import Declared
from ...artifacts.metrics import METRICS
from ..inspection import Gradient, Inspection

SHOWN = 12
"""Class names that are printed."""
LARGE = 1_000_000
"""Numbers of a label bank beyond which its size is shown."""


def show_inspection(found: Inspection, console: Console) -> None:
    """Print a readable page about a model."""
    for heading, lines in _sections(found):
        console.print(heading, style="bold")
        for line in lines:
            console.print(f"  {line}")


def json_text(found: Inspection, search: dict[str, Any] | None) -> str:
    """The same as a JSON object, in ASCII, with what a search for the preprocessing found as `search`."""
    return json.dumps(msgspec.to_builtins(found) | {"search": search}, indent=1)


def _sections(found: Inspection) -> Iterator[tuple[str, list[str]]]:
    yield found.file, _file_lines(found)
    yield "input", _input_lines(found)
    yield "answers", _answer_lines(found)
    if found.training:
        t = found.training
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
    yield "gradient", _gradient_lines(found.gradient, found.format == "onnx")


def _file_lines(found: Inspection) -> list[str]:
    within = f" in {found.files} files" if found.files > 1 else ""
    size, digest = f"{found.bytes / 1e6:.2f} MB{within}", f"SHA-256 {found.sha256}"
    if found.format != "onnx":
        return [f"{'TorchScript' if found.format == 'torchscript' else 'torch.export'}, {size}", digest]
    opsets = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
    return [f"ONNX, opset {opsets}, made by {found.producer or 'unknown'}, {size}", digest]


def _input_lines(found: Inspection) -> list[str]:
    entry = found.preprocessing
    cropped = f"shorter side to {entry.resize}, centre crop" if entry.resize else "centre crop"
    resized = "resized to fit" if entry.resize is None else cropped
    order = {"bgr": ", channels B, G, R", "grey": ", grey"}.get(entry.order, "")
    last = ", channels last" if entry.layout == "nhwc" else ""
    size = f"images {entry.channels} x {entry.height} x {entry.width}, {resized} ({entry.interpolation})"
    lines = [
        f"{value.name}: {Declared(value.name, value.type, value.shape).text}{ROLES[value.role]}"
        for value in found.inputs
        if len(found.inputs) > 1 or value.role != "image"
    ]
    lines.append(f"{size}{order}{last}")
    plain = set(entry.mean) == {0.0} and set(entry.std) == {1.0}
    place = (
        "inside the graph" if entry.seen else "as its manifest says (the file shows no such step to compare)"
    )
    numbers = "none" if plain else f"mean {_numbers(entry.mean)}, std {_numbers(entry.std)}, {place}"
    lines.append(f"normalisation of 0..1: {numbers}")
    if entry.rounded:
        lines.append(
            "the file takes whole numbers: pixels are rounded to them, and gradients pass the rounding"
        )
    return lines


ROLES = {
    "image": ", the images",
    "fixed": ", fixed by --fix",
    "default": ", has a value in the file",
    "unused": ", not needed for the scores",
}


def _answer_lines(found: Inspection) -> list[str]:
    names = ", ".join(found.classes[:SHOWN]) + (", …" if len(found.classes) > SHOWN else "")
    unnamed = "" if found.named else " (the file does not name them)"
    lines = [f"{len(found.classes)} classes: {names}{unnamed}"]
    if found.spoken:
        lines.append(
            "spoken: " + ", ".join(found.spoken[:SHOWN]) + (", …" if len(found.spoken) > SHOWN else "")
        )
    if found.label:
        shape = " x ".join(map(str, found.label["shape"]))
        low, high = found.label["minimum"], found.label["maximum"]
        several = f"{found.label['several']} of each class, " if found.label.get("several", 1) > 1 else ""
        numbers = len(found.classes) * found.label.get("several", 1) * math.prod(found.label["shape"])
        size = f" ({4e-6 * numbers:.1f} MB)" if numbers > LARGE else ""
        lines.append(f"labels: {found.label['kind']}, {several}{shape}, from {low:g} to {high:.3g}{size}")
        lines.append(f"decoding: {_decoding(found.label)}")
    else:
        lines.append("decoding: arg-max of the scores")
        if len(found.outputs) > 1:
            chosen = next(output.name for output in found.outputs if output.scores)
            others = ", ".join(output.name for output in found.outputs if not output.scores)
            why = "chosen with --output-name" if found.chosen else "the only one that can be class scores"
            lines.append(f"output: {chosen}, {why} (the others: {others})")
        lines.append(f"head: {found.head.text}")
    if found.batch_dependent:
        lines.append("batch-dependent: the scores of an image change with the other images of its batch")
    return lines


def _decoding(label: Mapping[str, Any]) -> str:
    """How the nearest label decides, and what is near enough."""
    metric, threshold = label.get("metric"), label["threshold"]
    if metric is None:
        within = "" if threshold is None else f"; threshold: mean smooth L1 under {threshold:g}"
        return f"nearest neighbour{within}"
    measure = METRICS[metric]
    pooled = {"mean": " on average over its labels", "max": " to the nearest of its labels", None: ""}
    text = f"nearest class by {measure.word}{pooled[label['pool']]}, scores {label['scale']:.4g} times that"
    if threshold is None:
        return text
    side = "over" if measure.similarity else "under"
    return f"{text}; threshold: {measure.word} {side} {measure.shown(threshold):g}"


def _gradient_lines(gradient: Gradient, onnx: bool) -> list[str]:
    if not onnx:
        return ["available (torch)" if gradient.available else gradient.reason or "not available"]
    kinds: dict[str, list[str]] = {}
    for operator in gradient.operators:
        kinds.setdefault(operator.status, []).append(f"{operator.operator} ({operator.count})")
    lines = [f"{status}: {', '.join(counts)}" for status, counts in kinds.items()]
    missing = [
        f"{operator.operator} at {reason}"
        for operator in gradient.operators
        if operator.status == "missing"
        for reason in operator.reasons
    ]
    if gradient.reason is not None and not missing:
        missing = [gradient.reason]
    if gradient.available and gradient.reason is not None:
        return [f"a straight-through estimate: {gradient.reason}", *lines]
    return [f"{'' if gradient.available else 'not '}available from the file itself", *lines, *missing]


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{v:.4g}" for v in values)
