"""Small surgery on ONNX graphs that opening a file needs."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

import onnx

from ..errors import VivavoceError


def consumed(node: onnx.NodeProto) -> set[str]:
    """Names a node reads, those that its subgraphs take from outside included."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                names |= consumed(inner)
            names |= {output.name for output in graph.output}
    return names


def tensors(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """The tensors that a graph holds by name, those of Constant nodes included."""
    made = {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    return made | {tensor.name: tensor for tensor in graph.initializer}


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put the nodes in topological order, which the standard asks for and some writers ignore.

    Raises:
        VivavoceError: the graph has a cycle.
    """
    maker = {name: k for k, node in enumerate(graph.node) for name in node.output}
    needs = {k: {maker[n] for n in consumed(node) if n in maker} for k, node in enumerate(graph.node)}
    if all(maker < k for k, makers in needs.items() for maker in makers):
        return
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise VivavoceError(
            f"the model's graph has a cycle (at node {graph.node[error.args[1][0]].name!r})"
        ) from None
    replace_nodes(graph, [graph.node[k] for k in order])


def part(model: onnx.ModelProto, outputs: Sequence[str], inputs: Sequence[str]) -> onnx.ModelProto:
    """Cut out of a model what makes `outputs` from `inputs`, which may be values on the way.

    Nodes must be in topological order. What is said of inputs and outputs elsewhere in the graph is kept.
    """
    wanted, kept = set(outputs), []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output) - set(inputs):
            kept.append(node)
            wanted |= consumed(node)
    graph = model.graph
    known = {v.name: v for v in (*graph.value_info, *graph.input, *graph.output)}
    cut = onnx.ModelProto()
    for field in ("ir_version", "producer_name", "producer_version"):
        setattr(cut, field, getattr(model, field))
    for field in ("opset_import", "functions", "metadata_props"):
        getattr(cut, field).extend(getattr(model, field))
    cut.graph.name = graph.name
    cut.graph.node.extend(reversed(kept))
    cut.graph.initializer.extend(t for t in graph.initializer if t.name in wanted)
    cut.graph.input.extend(known[name] for name in inputs)
    cut.graph.output.extend(known[name] for name in outputs)
    return cut


def replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Give a graph other nodes; they may be its own."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def rename(graph: onnx.GraphProto, before: str, after: str) -> None:
    """Give a value of the main graph another name wherever it is made, read or declared."""
    for part in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        if part.name == before:
            part.name = after
    for node in graph.node:
        for names in (node.input, node.output):
            for k, name in enumerate(names):
                if name == before:
                    names[k] = after
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                rename(inner, before, after)
