"""`audit inspect`: what a model file contains and how vivavoce reads it, as a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from ..artifacts import ExportedModel, Manifest
from ..artifacts.identity import files_of, identify
from ..artifacts.interface import Declared
from ..artifacts.manifest import Training
from ..artifacts.onnx_model import OnnxModel
from ..errors import VivavoceError
from .target import Target

if TYPE_CHECKING:
    from ..gradient.support import Status

SCHEMA = 1
Role = Literal["image", "fixed", "default", "unused"]


class Input(msgspec.Struct, frozen=True):
    """An input of the file."""

    name: str
    type: str
    """ONNX's name in lower case: float, float16, double, uint8, int64, ..."""
    shape: tuple[int | str | None, ...] | None
    """Sizes; a name or null where one is open; null: not declared."""
    role: Role
    """`fixed`: by --fix; `default`: it has a value in the file; `unused`: the scores do not need it."""


class Output(msgspec.Struct, frozen=True):
    """An output of the file."""

    name: str
    type: str
    shape: tuple[int | str | None, ...] | None
    scores: bool
    """Whether the scores are made of it."""


class Feeding(msgspec.Struct, frozen=True):
    """How an image becomes what the file takes."""

    height: int
    width: int
    channels: int
    order: Literal["rgb", "bgr", "grey"]
    layout: Literal["nchw", "nhwc"]
    mean: tuple[float, ...]
    """Per channel, in units of 0..1, like std."""
    std: tuple[float, ...]
    rounded: bool
    """Whether the file takes whole numbers, to which pixels are rounded."""
    resize: int | None
    """Shorter side before the centre crop; 0: crop only; null: resize to height x width."""
    interpolation: str
    seen: bool
    """Whether the normalisation is in the graph; false: the manifest says it and nothing shows it."""


class Head(msgspec.Struct, frozen=True):
    """How scores on the scale of logits are made of the output."""

    kind: str
    """scores, softmax, log-softmax, sigmoids, one sigmoid, one logit, probabilities, one probability; label
    for models that predict labels, label bank for encoders that got one."""
    bypassed: bool
    """Whether the softmax or sigmoid at the end is left out."""
    text: str
    """The same in words."""


class Operator(msgspec.Struct, frozen=True):
    """The gradient of one kind of operator between image and scores."""

    operator: str
    status: Literal["exact", "estimated", "missing"]
    count: int
    reasons: tuple[str, ...]
    """Why it is estimated or missing."""


class Gradient(msgspec.Struct, frozen=True):
    """Whether attacks have the gradient."""

    available: bool
    reason: str | None
    """Why it is not, or why it is an estimate."""
    operators: tuple[Operator, ...]
    """For ONNX files; empty for others."""


class Inspection(msgspec.Struct, frozen=True):
    """What `audit inspect --json` prints."""

    file: str
    format: Literal["onnx", "torchscript", "pt2"]
    files: int
    """Number of files: external data count."""
    bytes: int
    sha256: str
    producer: str | None
    opsets: dict[str, int]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    chosen: bool
    """Whether --output-name chose the output; otherwise it is the only one that can be class scores."""
    preprocessing: Feeding
    head: Head
    classes: tuple[str, ...]
    named: bool
    """Whether the file, or a list next to it, names its classes."""
    spoken: tuple[str, ...]
    label: dict[str, Any] | None
    """Kind, shape, minimum, maximum and threshold of the labels and, where a metric of a bank compares them,
    the metric, its scale, how many labels a class has and which of them counts; null for models on logits."""
    batch_dependent: bool
    """Whether the scores of an image change with the other images of its batch."""
    training: Training | None
    gradient: Gradient
    schema: Literal[1] = SCHEMA


def inspect_model(model: ExportedModel) -> Inspection:
    """Look at an opened model: run it on a few random images, and try its gradient."""
    files, identity, manifest = files_of(model.path), identify(model.path), model.manifest
    graph = model.graph if isinstance(model, OnnxModel) else None
    producer = graph and " ".join(filter(None, (graph.producer_name, graph.producer_version)))
    return Inspection(
        file=model.path.name,
        format=FORMATS.get(model.path.suffix, "torchscript"),
        files=len(files),
        bytes=identity.bytes,
        sha256=identity.sha256,
        producer=producer or None,
        opsets={o.domain or "ai.onnx": o.version for o in graph.opset_import} if graph else {},
        inputs=_inputs(model),
        outputs=_outputs(model),
        chosen=model.understood is not None and model.understood.output.chosen,
        preprocessing=_feeding(model),
        head=_head(model),
        classes=manifest.classes,
        named=model.named,
        spoken=manifest.spoken,
        label=_label(manifest),
        batch_dependent=_batch_dependent(model),
        training=manifest.training,
        gradient=_gradient(model),
    )


FORMATS: dict[str, Literal["onnx", "torchscript", "pt2"]] = {".onnx": "onnx", ".pt2": "pt2"}


def _inputs(model: ExportedModel) -> tuple[Input, ...]:
    if model.understood is None:
        declared = map(Declared.of, model.graph.graph.input) if isinstance(model, OnnxModel) else ()
        return tuple(Input(d.name, d.type, d.shape, "image") for d in declared if d.name == "image")
    held = {t.name for t in model.graph.graph.initializer} if isinstance(model, OnnxModel) else set[str]()
    understood, found = model.understood, []
    for d in understood.inputs:
        role: Role = "default" if d.name in held else "unused"
        role = "fixed" if d.name in understood.fixed else role
        found.append(Input(d.name, d.type, d.shape, "image" if d.name == understood.image else role))
    return tuple(found)


def _outputs(model: ExportedModel) -> tuple[Output, ...]:
    if model.understood is None:
        declared = map(Declared.of, model.graph.graph.output) if isinstance(model, OnnxModel) else ()
        return tuple(Output(d.name, d.type, d.shape, d.name == "scores") for d in declared)
    chosen = model.understood.output.name
    return tuple(Output(d.name, d.type, d.shape, d.name == chosen) for d in model.understood.outputs)


def _feeding(model: ExportedModel) -> Feeding:
    entry, understood = model.manifest.input, model.understood
    reverse = understood is not None and understood.entry.reverse
    return Feeding(
        height=entry.height,
        width=entry.width,
        channels=entry.channels,
        order="grey" if entry.channels == 1 else "bgr" if reverse else "rgb",
        layout="nhwc" if understood and understood.entry.nhwc else "nchw",
        mean=entry.mean,
        std=entry.std,
        rounded=understood is not None and understood.entry.whole,
        resize=entry.resize,
        interpolation=entry.interpolation,
        # Without a manifest the numbers are the user's own, and vivavoce puts them into the graph.
        seen=model.normalisation is not None or understood is not None,
    )


def _head(model: ExportedModel) -> Head:
    if model.understood:
        head = model.understood.head
        return Head(head.kind, head.bypassed, head.text)
    if model.manifest.label:
        return Head("label", False, "a label for each image; scores fall with the distance to each class's")
    return Head("scores", False, "scores, as the file gives them")


def _label(manifest: Manifest) -> dict[str, Any] | None:
    label = manifest.label
    if label is None:
        return None
    about = {"kind": label.kind, "shape": label.shape, "minimum": label.minimum, "maximum": label.maximum}
    about["threshold"] = manifest.decoding.threshold
    if label.metric is None:
        return about
    return about | {
        "metric": label.metric, "scale": 1 / label.temperature, "several": label.several, "pool": label.pool,
    }  # fmt: skip


def _gradient(model: ExportedModel) -> Gradient:
    target = Target(model, straight_through=True)
    target.try_gradient(_noise(model.manifest, 2))
    if not isinstance(model, OnnxModel):
        return Gradient(target.gradient_missing is None, target.gradient_missing, ())
    from ..gradient.support import support

    try:
        found = support(model.graph, straight_through=target.estimated is not None)
    except VivavoceError as error:
        return Gradient(False, str(error), ())
    kinds: dict[tuple[str, Status], list[str]] = {}
    for operator, node, status, reason in found:
        where = f"node {node!r}: {reason}" if status == "missing" else reason
        kinds.setdefault((operator, status), []).append(where)
    operators = tuple(
        Operator(operator, status, len(reasons), tuple(dict.fromkeys(filter(None, reasons))))
        for (operator, status), reasons in kinds.items()
    )
    why = target.gradient_missing or target.estimated
    return Gradient(target.gradient_missing is None, why, operators)


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
