"""The small classifier of digits as files that other exporters write: other heads, other inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node as node
from small import small_digits

from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float

SHRINK, SIDE, K = 4, 32, 10
Shape = Sequence[int | str | None] | None


@cache
def plain() -> onnx.ModelProto:
    """The classifier without a manifest: `image` [N, 3, 32, 32] to `scores` [N, 10]."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.onnx"
        small_digits(path, SHRINK)
        model = onnx.load(path)
    del model.metadata_props[:]
    return model


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """All digits, float32 [360, 3, 32, 32] in 0..1, and their classes."""
    images = open_images("digits")
    pixels = images.pixels(np.arange(len(images)), Fit(SIDE, SIDE, 3))
    return to_float(pixels), images.labels


@cache
def weights() -> np.ndarray:
    """What each pixel adds to each score, float64 [10, 3, 32, 32]."""
    held = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in plain().graph.initializer}
    small = held["weight"].T.reshape(K, 3, SIDE // SHRINK, SIDE // SHRINK) / SHRINK**2
    return small.repeat(SHRINK, 2).repeat(SHRINK, 3) / held["std"]


@cache
def offsets() -> np.ndarray:
    """The scores of a black image, float64 [10]."""
    mean = next(numpy_helper.to_array(t) for t in plain().graph.initializer if t.name == "mean")
    return -(weights() * mean.astype(np.float64)).sum((1, 2, 3))


def logits(images: np.ndarray) -> np.ndarray:
    """The scores of images, float64 [N, 10]."""
    return np.einsum("nchw,kchw->nk", images.astype(np.float64), weights()) + offsets()


def log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def save(
    path: Path,
    tail: Sequence[onnx.NodeProto] = (),
    outputs: Mapping[str, tuple[int, Shape]] | None = None,
    constants: Mapping[str, np.ndarray] | None = None,
    change: Callable[[onnx.GraphProto], None] | None = None,
) -> Path:
    """Write the classifier with nodes behind `scores`, and other outputs (type and shape by name)."""
    model = onnx.ModelProto()
    model.CopyFrom(plain())
    graph = model.graph
    graph.node.extend(tail)
    if outputs is not None:
        del graph.output[:]
        graph.output.extend(helper.make_tensor_value_info(n, t, s) for n, (t, s) in outputs.items())
    for name, array in (constants or {}).items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    if change is not None:
        change(graph)
    onnx.save(model, path)
    return path


def behind_input(graph: onnx.GraphProto, kind: int, shape: Shape, *nodes: onnx.NodeProto) -> None:
    """Let a graph take `x` of a type and shape, which nodes turn into `image`, in place."""
    old = [onnx.NodeProto.FromString(n.SerializeToString()) for n in graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend([*nodes, *old])
    graph.input.append(helper.make_tensor_value_info("x", kind, shape))


def with_opset(path: Path, opset: int) -> Path:
    """Let a file say that it is of another opset, of which its operators mean the same."""
    model = onnx.load(path)
    model.opset_import[0].version, model.ir_version = opset, 8
    onnx.save(model, path)
    return path


F = TensorProto.FLOAT
ROWS = ("N", K)
__all__ = [
    "ROWS",
    "SIDE",
    "F",
    "K",
    "behind_input",
    "digits",
    "log_softmax",
    "logits",
    "node",
    "save",
    "weights",
]
