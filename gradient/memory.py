"""How many images fit a memory budget."""

from __future__ import annotations

import onnx

from ..artifacts.graph import consumed
from .errors import MissingRule
from .graph import Graph, needed
from .session import InputGradient

OVERHEAD = 250_000_000
"""Bytes that Python, numpy, onnx and onnxruntime take with no model loaded, generously."""

WASTE = 1.4
"""What onnxruntime's arena takes, over what lives at once (ResNet-50 at 224 pixels: 1.38)."""

WEIGHT_COPIES = 5
"""How often the weights are held while the gradient runs: the model as read, as prepared, and in the session
with the transposed ones and those packed for the kernels (ResNet-50, 103 MB: 16 images peak at 1.7 GB)."""


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
    reads any more; that peak grows with the batch, while the weights do not.

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
    each = peak_bytes(gradient, gradient.sizes(shape))
    weights = sum(t.ByteSize() for t in model.graph.initializer)
    fitting = int((budget_bytes - OVERHEAD - WEIGHT_COPIES * weights) / (each * WASTE))
    return max(1, min(largest, 1 << max(fitting, 1).bit_length() - 1))


def peak_bytes(gradient: InputGradient, rest: tuple[int, ...]) -> float:
    """Bytes per image that live at once, at the worst moment of the gradient's run."""
    size = gradient.declared_batch or 1
    graph, outputs = gradient.differentiated((size, *rest))
    results = {value.name for value in outputs.values()}
    nodes, _ = needed(graph.nodes, results)
    last = {name: k for k, node in enumerate(nodes) for name in consumed(node)}
    last.update(dict.fromkeys(results, len(nodes)))
    held: dict[str, int] = {}
    peak = 0
    for k, node in enumerate(nodes):
        held.update((name, _bytes(graph, name)) for name in node.output if name)
        peak = max(peak, sum(held.values()))
        for name in [name for name in held if last.get(name, k) <= k]:
            del held[name]
    return peak / size


def _bytes(graph: Graph, name: str) -> int:
    """Size of a value; constants count with the weights, and what is not known with nothing."""
    try:
        value = graph.value(name)
    except MissingRule:
        return 0
    return 0 if value.array is not None else value.size * value.dtype.itemsize
