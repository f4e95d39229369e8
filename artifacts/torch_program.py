"""The graph of a torch.export `.pt2` file: what it takes, and what stands at the end of its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .torch_graph import HEADS, LINEAR, PASSING, Ending, Key
from .torch_input import Example
from .torch_output import pick

if TYPE_CHECKING:
    import torch
    from torch.fx import Graph, GraphModule, Node

ASSERTION = "aten::_assert_tensor_metadata"
"""What torch.export puts in front of every change of type; it reads a value without using it."""
LOGARITHM = "aten::log"


def take_by_place(module: torch.nn.Module) -> torch.nn.Module:
    """Let a program that was exported with a keyword take its only tensor by place, as other files do."""
    from torch.fx.graph import _PyTreeCodeGen
    from torch.utils import _pytree

    graph: Graph = module.graph  # type: ignore[reportAssignmentType]
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    codegen = graph._codegen
    if isinstance(codegen, _PyTreeCodeGen) and len(inputs) == 1:
        spec = _pytree.tree_flatten(((0,), {}))[1]
        about: Any = codegen.pytree_info
        graph.set_codegen(_PyTreeCodeGen(about._replace(orig_args=[inputs[0].name], in_spec=spec)))
        module.recompile()  # type: ignore[reportCallIssue]
    return module


def program_example(module: torch.nn.Module) -> Example | None:
    """The image that a program was exported with; None where it takes no tensor or several."""
    import torch

    graph: Graph = module.graph  # type: ignore[reportAssignmentType]
    values = [node.meta.get("val") for node in graph.nodes if node.op == "placeholder"]
    if len(values) != 1 or not isinstance(values[0], torch.Tensor):
        return None
    return Example([_hint(size) for size in values[0].shape], str(values[0].dtype).removeprefix("torch."))


def _hint(size: Any) -> int:
    """A size, or the example's where it is open."""
    return size if isinstance(size, int) else int(size.node.hint)


def program_endings(module: GraphModule, keys: Sequence[Key]) -> list[Ending]:
    """Functions that compute one output of a program: without its final softmax, then with it.

    Args:
        module: from `torch.export`.
        keys: where the output is in what the module returns.

    Returns:
        At most two; empty where torch can't rewrite the graph.
    """
    found: list[Ending] = []
    for cut in (True, False):
        try:
            program = _alone(module, keys)
            bypassed = _cut(program.graph) if cut else None
            program.recompile()
        except Exception:  # torch raises many kinds; the module itself still runs
            return found
        if bypassed or not cut:
            linear = _name(_made(program.graph)) in LINEAR
            found.append(Ending(program, bypassed, linear and bypassed is None))
    return found


def _alone(module: GraphModule, keys: Sequence[Key]) -> GraphModule:
    """A copy, with the same weights, that takes one tensor and gives one."""
    from torch.fx import Graph, GraphModule
    from torch.utils import _pytree

    graph = Graph()
    outputs: Any = graph.graph_copy(module.graph, {})
    spec: Any = module._out_spec
    graph.output(pick(_pytree.tree_unflatten(outputs, spec), keys))
    program = GraphModule(module, graph)
    for node in [node for node in graph.nodes if _name(node) == ASSERTION]:
        graph.erase_node(node)
    graph.eliminate_dead_code()
    return program


def _made(graph: Graph) -> Node:
    """The node whose value the graph gives."""
    return graph.output_node().args[0]  # type: ignore[reportReturnType]


def _name(node: Node) -> str:
    """The operator of a node, as TorchScript calls it; empty for what is no operator."""
    schema = getattr(node.target, "_schema", None)
    return schema.name if schema is not None else ""


def _cut(graph: Graph) -> str | None:
    """Leave out, in place, the softmax or sigmoid that makes the only output; its name, or None.

    Values that are read elsewhere too stay, since what reads them may decide.
    """
    node: Any = _made(graph)
    left_out, logged = list[Any](), False
    while len(node.users) == 1:
        name = _name(node)
        if name in HEADS and not (logged and HEADS[name] != "softmax"):
            for leaving in (node, *left_out):
                leaving.replace_all_uses_with(leaving.args[0])
            graph.eliminate_dead_code()
            return "log-softmax" if logged else HEADS[name]
        if name == LOGARITHM and not logged:
            logged = True
            left_out.append(node)
        elif name not in PASSING:
            return None
        node = node.args[0]
    return None
