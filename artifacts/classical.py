"""Files with operators of ai.onnx.ml, as scikit-learn and XGBoost export them, read for their scores.

They give labels, and scores as a map for each image (ZipMap) or behind a transform that an attribute names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .graph import replace_nodes
from .head import FLOATS, STANDARD

ML = "ai.onnx.ml"
LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
"""Attributes with the labels of the classes."""
CLASSIFIERS = ("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier")
"""Operators that give a label and, second, scores."""
TRANSFORMS = {"SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}
"""Standard operators that a post-transform names."""
OPSET = 18
"""Version of the standard operators that is imported where a file imports none."""
NAMING = ("LabelEncoder", "ArrayFeatureExtractor", "Cast", "Identity", "Reshape", "Flatten", "Squeeze")
"""Operators between a class number and the label that a file gives."""


def read_as_scores(model: onnx.ModelProto) -> None:
    """Let a graph give its scores [N, classes] instead of maps and labels, in place.

    A ZipMap is left out. If the graph also gives scores, its outputs of labels are removed; otherwise an
    output of labels becomes the scores that decide the label. A softmax or sigmoid that an attribute names
    becomes a node. A division by the sum behind it keeps the order and is left out. Where two scores
    contradict the label, they change their sign. A number of classes that is declared wrongly is corrected.
    Other graphs stay as they are.
    """
    domains = [o.domain for o in model.opset_import]
    if not any(domain in STANDARD for domain in domains):
        model.opset_import.append(helper.make_opsetid("", OPSET))  # preprocessing is written in it
    if ML not in domains:
        return
    graph = model.graph
    maker = {name: node for node in graph.node for name in node.output if name}
    constants = {t.name: t for t in graph.initializer}
    labels = [_labels(output.name, maker, constants) for output in graph.output]
    for output in graph.output:
        node = maker.get(output.name)
        if node is not None and node.op_type == "ZipMap":
            _give(graph, output, node.input[0], len(own_labels(node)) or None)
    _choose(graph, maker)
    _count(graph, maker)
    replace_nodes(graph, [part for node in graph.node for part in _split(node)])
    maker = {name: node for node in graph.node for name in node.output if name}
    for output in graph.output:
        _leave_out_sums(output.name, maker)
    texts = [held for held in labels if held and isinstance(held[0], str)]
    if texts and all(p.key != "names" for p in model.metadata_props):
        model.metadata_props.add(key="names", value=json.dumps(texts[0]))


def own_labels(node: onnx.NodeProto) -> list[str | int]:
    """The labels of the classes among a node's attributes; empty for most nodes."""
    for attribute in node.attribute:
        if attribute.name in LABELS and (held := helper.get_attribute_value(attribute)):
            return [_text(one) for one in held]
    return []


def _text(label: Any) -> Any:
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else label


def _labels(
    name: str, maker: Mapping[str, onnx.NodeProto], constants: Mapping[str, onnx.TensorProto]
) -> list[str | int]:
    """The labels in what makes an output: a ZipMap, a LabelEncoder, or an array that is picked from."""
    while (node := maker.get(name)) is not None:
        if held := own_labels(node):
            return held
        attributes = {a.name: a for a in node.attribute}
        keys, values = (list(attributes[n].ints if n[0] == "k" else attributes[n].strings)
                        if n in attributes else [] for n in ("keys_int64s", "values_strings"))  # fmt: skip
        if node.op_type == "LabelEncoder" and sorted(keys) == list(range(len(values))) and values:
            return [_text(values[keys.index(k)]) for k in range(len(values))]
        if node.op_type == "ArrayFeatureExtractor" and node.input[0] in constants:
            held = numpy_helper.to_array(constants[node.input[0]]).reshape(-1).tolist()
            return [_text(one) for one in held]
        if node.op_type not in NAMING:
            break
        name = node.input[0]
    return []


def _choose(graph: onnx.GraphProto, maker: Mapping[str, onnx.NodeProto]) -> None:
    """Keep the outputs of scores. If all outputs are labels, keep the scores that decide one."""
    scores = [o for o in graph.output if o.type.tensor_type.elem_type in FLOATS]
    for output in list(graph.output):
        if output in scores or output.type.WhichOneof("value") != "tensor_type":
            continue
        found = None if scores else _before_label(output.name, maker)
        if scores:
            graph.output.remove(output)
        elif found:
            _give(graph, output, *found)
            scores = [output]


def _count(graph: onnx.GraphProto, maker: Mapping[str, onnx.NodeProto]) -> None:
    """Let outputs declare as many scores as their classifier has labels; some writers say one."""
    for output in graph.output:
        name = output.name
        while (node := maker.get(name)) is not None and node.op_type in ("Cast", "Identity", "Normalizer"):
            name = node.input[0]
        sizes = output.type.tensor_type.shape.dim
        if node is None or node.op_type not in CLASSIFIERS or name not in node.output[1:] or len(sizes) != 2:
            continue
        if count := len(own_labels(node)):
            sizes[1].dim_value = count


def _before_label(name: str, maker: Mapping[str, onnx.NodeProto]) -> tuple[str, int | None] | None:
    """The scores whose largest an output names, and how many classes they have if that is known."""
    while (node := maker.get(name)) is not None:
        if node.op_type == "ArgMax":
            return node.input[0], None
        if node.domain == ML and node.op_type in CLASSIFIERS and node.output[0] == name:
            if len(node.output) < 2 or not node.output[1]:
                node.output.extend([f"{name}__scores"] if len(node.output) < 2 else [])
                node.output[1] = f"{name}__scores"
            return node.output[1], len(own_labels(node)) or None
        if node.op_type not in NAMING:
            return None
        name = node.input[1 if node.op_type == "ArrayFeatureExtractor" else 0]
    return None


def _give(graph: onnx.GraphProto, output: onnx.ValueInfoProto, value: str, count: int | None) -> None:
    """Let an output be a float value [N, count] under its own name."""
    name = output.name
    kept = [node for node in graph.node if name not in node.output]
    inside = {n for node in kept for n in node.input}
    if name in inside:  # something else reads the labels
        kept, name = list(graph.node), f"{name}__scores"
    replace_nodes(graph, [*kept, helper.make_node("Identity", [value], [name], f"vivavoce/{name}")])
    output.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, count]))


def _split(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A classifier, and behind it what an attribute or the order of two classes makes of its scores."""
    attributes = {a.name: a for a in node.attribute}
    transform = attributes.get("post_transform")
    named = transform.s.decode() if transform else "NONE"
    rows = len(attributes["intercepts"].floats) if "intercepts" in attributes else 0
    if node.domain != ML or len(node.output) < 2 or not node.output[1]:
        return [node]
    if node.op_type == "LinearClassifier" and rows > 1 and named in TRANSFORMS:
        behind = TRANSFORMS[named]
    elif _two_vectors(node) and "prob_a" in attributes and named == "NONE":
        return _log_odds(node, attributes["prob_a"].floats[0], attributes["prob_b"].floats[0])
    elif _two_vectors(node) and "prob_a" not in attributes and named in ("NONE", "LOGISTIC"):
        behind = "Neg"
    else:
        return [node]
    if transform:
        transform.s = b"NONE"
    scores = node.output[1]
    node.output[1] = f"{scores}__raw"
    more: dict[str, Any] = {"axis": 1} if behind == "Softmax" else {}
    return [node, helper.make_node(behind, [node.output[1]], [scores], f"vivavoce/{scores}", **more)]


def _two_vectors(node: onnx.NodeProto) -> bool:
    """Whether a node is a machine of support vectors for two classes.

    Its scores are [-f, f] in onnxruntime, and its label is the first class where f > 0.
    """
    vectors = any(a.name == "vectors_per_class" for a in node.attribute)
    return node.op_type == "SVMClassifier" and vectors and len(own_labels(node)) == 2


def _log_odds(node: onnx.NodeProto, slope: float, shift: float) -> list[onnx.NodeProto]:
    """The machine without its probabilities, and minus and plus half of their log-odds a f + b (Platt 1999).

    onnxruntime finds the probabilities by an iteration that ends early and has no gradient.
    """
    for attribute in [a for a in node.attribute if a.name in ("prob_a", "prob_b")]:
        node.attribute.remove(attribute)
    scores, names = node.output[1], [f"{node.output[1]}__{part}" for part in ("raw", "a", "b", "scaled")]
    node.output[1] = names[0]
    held = [np.float32(slope / 2), np.array([-shift / 2, shift / 2], np.float32)]
    return [
        node,
        *(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value)))
          for name, value in zip(names[1:3], held, strict=True)),
        helper.make_node("Mul", names[:2], [names[3]], f"vivavoce/{names[3]}"),
        helper.make_node("Add", [names[3], names[2]], [scores], f"vivavoce/{scores}"),
    ]  # fmt: skip


def _leave_out_sums(name: str, maker: Mapping[str, onnx.NodeProto]) -> None:
    """Turn a division of probabilities by their sum, at the end of a graph, into the identity."""
    sums: list[onnx.NodeProto] = []
    while (node := maker.get(name)) is not None:
        if node.domain in STANDARD and node.op_type in TRANSFORMS.values():
            for one in sums:
                one.op_type, one.domain = "Identity", ""
                del one.attribute[:]
            return
        if node.domain == ML and node.op_type == "Normalizer":
            if any(a.name == "norm" and a.s == b"L2" for a in node.attribute):
                return
            sums.append(node)
        elif node.op_type not in ("Cast", "Identity"):
            return
        name = node.input[0]
