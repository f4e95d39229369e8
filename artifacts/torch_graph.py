"""The graph of a module from a file: the value that holds the scores, and what stands at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Key = int | str
"""Where a tensor is in a tuple, list or dict."""
HEADS = {
    "aten::softmax": "softmax",
    "aten::_softmax": "softmax",
    "aten::special_softmax": "softmax",
    "aten::log_softmax": "log-softmax",
    "aten::_log_softmax": "log-softmax",
    "aten::special_log_softmax": "log-softmax",
    "aten::sigmoid": "sigmoid",
    "aten::sigmoid_": "sigmoid",
    "aten::special_expit": "sigmoid",
}
"""Operators at the end that keep an image's decision."""
LINEAR = frozenset(f"aten::{name}" for name in "linear addmm matmul mm conv2d _convolution einsum".split())
"""Operators whose results are logits, not probabilities."""
PASSING = frozenset(
    f"aten::{name}"
    for name in "to _to_copy type_as flatten view _unsafe_view reshape squeeze unsqueeze contiguous clone "
    "detach alias view_as reshape_as _reshape_alias dropout".split()
)
"""Operators that keep the order of the entries."""
CONTAINERS = ("prim::TupleConstruct", "prim::ListConstruct", "prim::DictConstruct")


@dataclass(frozen=True)
class Ending:
    """A function from the fed images to scores, and what it leaves out."""

    run: Callable[[torch.Tensor], torch.Tensor]
    bypassed: str | None
    """The operator that is left out at the end: `softmax`, `log-softmax` or `sigmoid`; None: none is."""
    linear: bool = False
    """Whether the output is the result of a linear layer, whose range has no bounds."""


def endings(module: torch.nn.Module, keys: Sequence[Key]) -> list[Ending]:
    """Functions that compute one output of a module: without its final softmax, then with it.

    Args:
        module: in evaluation mode, with parameters that need no gradient.
        keys: where the output is in what the module returns.

    Returns:
        At most two; empty for a module that has no graph, that torch cannot freeze, or that picks its output
        depending on the data.
    """
    import torch

    if isinstance(module, torch.fx.GraphModule):
        from .torch_program import program_endings

        return program_endings(module, keys)
    found: list[Ending] = []
    if not isinstance(module, torch.jit.ScriptModule):
        return found
    for cut in (True, False):
        try:
            graph = _alone(module, keys)
            bypassed = _cut(graph) if cut and graph is not None else None
        except Exception:  # torch raises many kinds; the module itself still runs
            return found
        if graph is not None and (bypassed or not cut):
            linear = next(iter(graph.outputs())).node().kind() in LINEAR
            found.append(Ending(_function(graph), bypassed, linear and bypassed is None))
    return found


def _function(graph: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch

    return torch._C._create_function_from_graph("scores", graph)


def _alone(module: torch.jit.ScriptModule, keys: Sequence[Key]) -> Any | None:
    """A copy of the graph that has one output; None if it cannot be had without the module's state."""
    import torch

    # Without its optimisations freezing only inlines calls, and weights as constants.
    # It inlines nothing where the optimiser is off.
    with torch.jit.optimized_execution(True):  # type: ignore[reportPrivateImportUsage]
        graph = torch.jit.freeze(module, optimize_numerics=False).graph.copy()
    value = next(iter(graph.outputs()))
    for key in keys:
        value = _inside(value, key)
        if value is None:
            return None
    graph.eraseOutput(0)
    graph.registerOutput(value)
    torch._C._jit_pass_dce(graph)
    own = next(iter(graph.inputs()))
    if own.uses():
        return None
    graph.eraseInput(0)
    return graph


def _inside(value: Any, key: Key) -> Any | None:
    """The value that a tuple, list or dict is made with."""
    node = value.node()
    if node.kind() not in CONTAINERS:
        return None
    inputs = list(node.inputs())
    if node.kind() == "prim::DictConstruct":
        pairs = {k.toIValue(): v for k, v in zip(inputs[::2], inputs[1::2], strict=True)}
        return pairs.get(key)
    return inputs[int(key)] if int(key) < len(inputs) else None


def _cut(graph: Any) -> str | None:
    """Leave out, in place, the softmax or sigmoid that makes the only output; its name, or None."""
    heads: list[Any] = []
    logs: list[Any] = []
    names = _heads(next(iter(graph.outputs())), heads, logs)
    if len(names) != 1:
        return None
    for node in (*heads, *logs):
        node.output().replaceAllUsesWith(node.inputsAt(0))
    return names.pop()


def _heads(value: Any, heads: list[Any], logs: list[Any]) -> set[str]:
    """Names of the operators that make a value, one for each way that leads to it; empty: some way has none.

    Values that are read elsewhere too stay, since a condition may depend on them.
    """
    logged = False
    while len(value.uses()) == 1:
        node = value.node()
        if node.kind() in HEADS:
            name = HEADS[node.kind()]
            if logged and name != "softmax":
                break
            heads.append(node)
            return {"log-softmax" if logged else name}
        if node.kind() == "prim::If":
            place = value.offset()
            ways = [_heads(list(block.outputs())[place], heads, logs) for block in node.blocks()]
            return set().union(*ways) if all(ways) and not logged else set()
        if node.kind() == "aten::log" and not logged:
            logged = True
            logs.append(node)
        elif node.kind() not in PASSING:
            break
        value = node.inputsAt(0)
    return set()
