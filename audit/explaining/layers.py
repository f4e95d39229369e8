"""The values inside a model that Grad-CAM can weigh: those whose places are places of the image."""

from __future__ import annotations

from ...artifacts import ExportedModel
from ...artifacts.graph import consumed
from ...artifacts.onnx_model import OnnxModel
from ...errors import VivavoceError
from ...gradient import InnerValue, inner_values
from ...text import plain, suggestion


def spatial_values(model: ExportedModel) -> list[InnerValue]:
    """Values [N, C, H, W] with more than one place that come from the image by such values alone.

    A decoder behind a vector, as label models have, is left out: its places are not those of the image. Only
    convolutions, and what keeps their shape, are known to have the channels second.

    Raises:
        VivavoceError: the model has no gradient graph, or it cannot be prepared.
    """
    if not isinstance(model, OnnxModel):
        raise VivavoceError(f"{model.path}: only .onnx files show their layers; export the model to .onnx")
    known = {value.name: value for value in inner_values(model.graph)}
    reached, result = {"image": False}, []  # whether the channels are known to come second
    for node in model.graph.graph.node:
        before = [reached[name] for name in consumed(node) if name in reached]
        if not before:
            continue
        for name in node.output:
            value = known.get(name)
            if value is None:  # an Identity or Dropout that preparation removed
                reached[name] = any(before)
            elif len(value.shape) == 4 and value.shape[2] * value.shape[3] > 1:
                moved = node.op_type in ("Transpose", "Reshape")
                reached[name] = node.op_type == "Conv" or (any(before) and not moved)
                if reached[name]:
                    result.append(value)
    return result


def shown(value: InnerValue) -> str:
    """A value's shape after the batch: 64 x 8 x 8."""
    return " x ".join(map(str, value.shape[1:])) or "one number"


def default_layer(values: list[InnerValue]) -> str | None:
    """The last convolution, or what follows it in the same shape: its normalisation, sum, activation."""
    last = next((k for k in reversed(range(len(values))) if values[k].operator == "Conv"), None)
    if last is None:
        return None
    return next(v.name for v in reversed(values[last:]) if v.shape == values[last].shape)


def choose_layer(model: ExportedModel, layer: str | None) -> str:
    """Check a layer's name, or find the default.

    Raises:
        VivavoceError: there is no such layer, it is not spatial, or the model has no spatial one.
    """
    values = spatial_values(model)
    if layer is None:
        found = default_layer(values)
        if found is None:
            raise VivavoceError(
                f"{model.path}: has no convolution with more than one place; choose a method without layers, "
                "such as integrated-gradients"
            )
        return found
    names = [value.name for value in values]
    if layer in names:
        return layer
    assert isinstance(model, OnnxModel)
    other = next((v for v in inner_values(model.graph) if v.name == layer), None)
    if other is not None:
        raise VivavoceError(
            f"the layer `{plain(layer)}` ({other.operator}, {shown(other)}) has no places of the image; "
            "--list-layers shows those that have"
        )
    instead = suggestion(layer, names, "--list-layers shows those that there are")
    raise VivavoceError(f"no layer `{plain(layer)}`; {instead}")
