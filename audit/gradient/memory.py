"""How many images fit a memory budget."""

from __future__ import annotations

import math

import onnx
from onnx import helper

from ...errors import VivavoceError
from .graph import consumed
from .preparation.shapes import infer
from .session import InputGradient

OVERHEAD = 250_000_000
"""Bytes that Python, numpy, onnx and onnxruntime take with no model loaded, generously."""

WASTE = 1.35
"""What onnxruntime's arena takes over what lives at once (measured on ResNet-50: 1.1 to 1.3)."""


def batch_size(
    model: onnx.ModelProto,
    budget_bytes: int,
    loss: str = "cross-entropy",
    *,
    largest: int = 256,
    shape: tuple[int, ...] | None = None,
    image: str = "image",
    scores: str = "scores",
) -> int:
    """The largest power of two of images whose gradient fits a budget of resident memory, at least 1.

    The graph for one image is walked in order, adding what each node makes and dropping what nobody
    reads any more; the peak grows with the batch, while weights (held three times: the file's, the
    transposed ones, the ones packed for the kernels) do not.

    Args:
        model: as for `InputGradient`.
        budget_bytes: resident memory of the whole process, in bytes.
        loss: as for `InputGradient`.
        largest: upper bound; larger batches are not faster.
        shape: [C, H, W], needed where the model leaves a size open.
        image: name of the input.
        scores: name of the output.
    """
    gradient = InputGradient(model, loss, image=image, scores=scores)
    rest = shape or gradient.declared_shape
    if rest is None:
        raise VivavoceError("the model leaves the image's size open; give it, as channels, height, width")
    each = peak_bytes(gradient, rest)
    weights = sum(t.ByteSize() for t in model.graph.initializer)
    fitting = int((budget_bytes - OVERHEAD - 3 * weights) / (each * WASTE))
    return max(1, min(largest, 1 << max(fitting, 1).bit_length() - 1))


def peak_bytes(gradient: InputGradient, rest: tuple[int, ...]) -> float:
    """Bytes per image that live at once, at the worst moment of the gradient's run."""
    size = gradient.declared_batch or 1
    graph = infer(gradient.graph((size, *rest))).graph
    sizes = {v.name: _bytes(v) for v in (*graph.value_info, *graph.output)}
    last: dict[str, int] = {}
    for k, node in enumerate(graph.node):
        last.update(dict.fromkeys(consumed(node), k))
    last.update({output.name: len(graph.node) for output in graph.output})
    live = peak = 0
    for k, node in enumerate(graph.node):
        live += sum(sizes.get(name, 0) for name in node.output)
        peak = max(peak, live)
        done = [name for name in (*consumed(node), *node.output) if last.get(name, k) <= k]
        live -= sum(sizes.pop(name, 0) for name in done)
    return peak / size


def _bytes(info: onnx.ValueInfoProto) -> int:
    tensor = info.type.tensor_type
    item = helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize if tensor.elem_type else 4
    return math.prod(d.dim_value for d in tensor.shape.dim) * item
