"""How many images fit a memory budget, and how many sessions beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from ..artifacts.graph import consumed
from .errors import MissingRule
from .graph import Graph, needed
from .pool import KEPT
from .value import Value

if TYPE_CHECKING:
    from .session import InputGradient

OVERHEAD = 250_000_000
"""Bytes that Python, numpy, onnx and onnxruntime take with no model loaded, generously."""

WASTE = 1.4
"""What onnxruntime's arena takes, over what lives at once (ResNet-50 at 224 pixels: 1.38)."""

ATTACKED = 24
"""How many arrays of a batch's images an attack holds, generously (APGD, FAB and Square at once: 20)."""

BESIDE = 2
"""How often the weights are held beside the gradient's sessions: the model, and the file's session."""

PER_SESSION = 2
"""How often each session of the gradient holds them: as they are and transposed."""

BUILDING = 1
"""How often more they are held while a session after the first is made; by then the arenas are full."""

ARENAS = 1.75
"""What the arenas of three or more sessions hold, over the largest: each is for half as many images."""

FEWEST = 8
"""Images that must fit beside three sessions or more; larger batches are hardly faster."""


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

    Args:
        model: as for `InputGradient`.
        budget_bytes: resident memory of the whole process, in bytes.
        loss: as for `InputGradient`.
        largest: upper bound; larger batches are not faster.
        shape: [C, H, W], needed where the model leaves a size open.
        image: name of the input.
        scores: name of the output.
    """
    from .session import InputGradient

    return fitting(InputGradient(model, loss, image=image, scores=scores), budget_bytes, largest, shape)


def fitting(gradient: InputGradient, budget: int, largest: int, shape: tuple[int, ...] | None = None) -> int:
    """The largest power of two of images that fits a budget of resident memory in bytes, at least 1.

    One session runs one batch size; with several, a batch of which only a few images are left costs less. So
    several must fit, if that leaves room for enough images; a session alone gets two images at most.
    """
    each, image = gradient.bytes_per_image(shape)
    for sessions in range(KEPT, 0, -1):
        count = _count(gradient.weights, sessions, each, image, budget)
        if count >= min(largest, FEWEST if sessions > 2 else 2):
            return min(largest, 1 << count.bit_length() - 1) if sessions > 1 else 2
    return 1


def most_on_host(budget: int, image: int, largest: int) -> int:
    """The largest power of two of images whose attacks fit a budget of the host, if the model runs elsewhere.

    Args:
        budget: resident memory of the whole process, in bytes.
        image: bytes of an image.
        largest: upper bound.
    """
    return min(largest, 1 << max((budget - OVERHEAD) // (ATTACKED * image), 1).bit_length() - 1)


def sessions_beside(gradient: InputGradient, count: int, budget: int) -> int:
    """How many sessions fit the budget beside batches of `count` images, at least 1."""
    each, image = gradient.bytes_per_image()
    fitting = (k for k in range(KEPT, 1, -1) if _count(gradient.weights, k, each, image, budget) >= count)
    return next(fitting, 1)


def _count(weights: int, sessions: int, each: int, image: int, budget: int) -> int:
    """How many images fit the budget beside a number of sessions."""
    copies = BESIDE + PER_SESSION * sessions + (BUILDING if sessions > 1 else 0)
    arenas = WASTE * (ARENAS if sessions > 2 else 1)
    return int((budget - OVERHEAD - copies * weights) / max(1, arenas * each + ATTACKED * image))


def bytes_per_image(graph: Graph, outputs: dict[str, Value], source: str) -> tuple[int, int]:
    """What each image of a batch takes in the graph, and the image itself.

    Args:
        graph: the gradient's, for a batch of any size.
        outputs: what it puts out.
        source: name of the input.
    """
    count = graph.value(source).shape[0]
    return peak_bytes(graph, outputs) // count, _bytes(graph, source) // count


def peak_bytes(graph: Graph, outputs: dict[str, Value]) -> int:
    """Bytes that live at once, at the worst moment of the graph's run.

    The nodes are walked in order, adding what each makes and dropping what nobody reads any more.
    """
    results = {value.name for value in outputs.values()}
    nodes, _ = needed(graph.nodes, results)
    last = {name: k for k, node in enumerate(nodes) for name in consumed(node)}
    last.update(dict.fromkeys(results, len(nodes)))
    held: dict[str, int] = {}
    peak = now = 0
    dropped: dict[int, list[str]] = {}
    for name, k in last.items():
        dropped.setdefault(k, []).append(name)
    for k, node in enumerate(nodes):
        made = {name: _bytes(graph, name) for name in node.output if name}
        held |= made
        now += sum(made.values())
        peak = max(peak, now)
        unread = [name for name in made if name not in last]
        now -= sum(held.pop(name, 0) for name in (*dropped.get(k, ()), *unread))
    return peak


def _bytes(graph: Graph, name: str) -> int:
    """Size of a value; constants count with the weights, and what is not known with nothing."""
    try:
        value = graph.value(name)
    except MissingRule:
        return 0
    return 0 if value.array is not None else value.size * value.dtype.itemsize
