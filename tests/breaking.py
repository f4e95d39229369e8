"""Ways in which an exported model gets worse, for the tests of the gate."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from vivavoce.artifacts import LabelBank, open_model
from vivavoce.artifacts.manifest import METADATA_KEY
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float


def changed(name: str, path: Path, change: Callable[[onnx.GraphProto], None]) -> Path:
    """A copy of a shipped model whose graph is changed in place."""
    model = onnx.load(open_model(name).path)
    change(model.graph)
    onnx.save(model, path)
    return path


def restated(path: Path) -> Path:
    """Let the manifest state the digest of the label bank that the file holds, if it has one."""
    model = onnx.load(path)
    bank = next((numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "label_bank"), None)
    if bank is not None:
        stated = next(p for p in model.metadata_props if p.key == METADATA_KEY)
        manifest = json.loads(stated.value)
        label = manifest["label"]
        label["digest"] = LabelBank(label["kind"], bank, tuple(manifest["classes"])).digest
        stated.value = json.dumps(manifest)
        onnx.save(model, path)
    return path


def arrays(graph: onnx.GraphProto, change: Callable[[str, np.ndarray], np.ndarray]) -> None:
    """Replace every float initializer by what `change` makes of its name and value."""
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            value = change(tensor.name, numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))


def with_noise(scale: float, seed: int = 0):
    """Every weight moves by `scale` of its tensor's standard deviation."""

    def change(graph):
        draw = np.random.default_rng(seed)

        def shake(name, value):
            if value.ndim < 2 or name == "label_bank" or value.size < 16:
                return value
            return value + scale * value.std() * draw.normal(size=value.shape)

        arrays(graph, shake)

    return change


def swapped_classes(graph):
    """Classes 3 and 5 trade places, and the manifest does not know."""
    last = next(n for n in reversed(graph.node) if n.op_type == "Gemm")
    per_class = {"label_bank", "answers.rows", "answers.squares", *last.input}

    def swap(name, value):
        if name not in per_class or 10 not in value.shape:
            return value
        order = [0, 1, 2, 5, 4, 3, 6, 7, 8, 9]
        return np.take(value, order, axis=value.shape.index(10))

    arrays(graph, swap)


def other_normalisation(graph):
    """The means are those of another data set."""
    first = next(n for n in graph.node if n.op_type == "Sub")
    arrays(graph, lambda name, value: value + 0.25 if name in first.input else value)


def behind(operators, constants=()):
    """Operators between the model's last value and its output `scores`."""

    def change(graph):
        for node in graph.node:
            for names in (node.input, node.output):
                for k, name in enumerate(names):
                    if name == "scores":
                        names[k] = "hidden"
        current = "hidden"
        for k, (operator, *more) in enumerate(operators):
            made = "scores" if k == len(operators) - 1 else f"made_{k}"
            node = helper.make_node(operator, [current, *more], [made])
            if operator == "Softmax":
                node.attribute.append(helper.make_attribute("axis", 1))
            graph.node.append(node)
            current = made
        graph.initializer.extend(numpy_helper.from_array(np.array(v, np.float32), n) for n, v in constants)

    return change


softmax = behind([("Softmax",)])
saturated_softmax = behind([("Mul", "big"), ("Softmax",)], [("big", 1000)])
rounded_scores = behind([("Mul", "ten"), ("Round",)], [("ten", 10)])


def clean_accuracy(path) -> float:
    model, images = open_model(path), open_images("digits")
    pixels = to_float(images.pixels(np.arange(len(images)), Fit.of(model.manifest.input)))
    return float((model.answer(pixels).scores.argmax(1) == images.labels).mean())


def noise_that_costs(points: float, name: str, path: Path) -> Path:
    """The least of a row of noise levels that takes so many points off the clean accuracy."""
    wanted = clean_accuracy(name) - points / 100
    for scale in np.arange(0.1, 3, 0.05):
        if clean_accuracy(changed(name, path, with_noise(float(scale)))) <= wanted:
            return path
    raise AssertionError("no noise was enough")
