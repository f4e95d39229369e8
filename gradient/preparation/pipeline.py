"""The order in which a model is prepared.

`normalise` does what does not depend on the batch: the outputs that matter, one opset, one order, float32.
`specialise` then fixes every shape and lets onnxruntime simplify the graph (constants folded, batch
normalisation folded into convolutions), which leaves standard operators only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import onnx
from onnx import helper, inliner

from ...artifacts.graph import sort_nodes
from ...artifacts.runtime import make_session
from ...artifacts.sessions import weights_folder, without_weights, write_apart
from ...errors import VivavoceError
from ...text import plain, suggestion
from ..graph import STANDARD, needed
from ..losses import LABEL_BANK
from ..rules import RULES
from . import shapes
from .convolution import explicit_pads, fold_batch_normalization
from .lowering import lower, lower_sized, set_aside
from .marking import unmark
from .opset import convert
from .precision import to_float32
from .quantised import write_out


def normalise(model: onnx.ModelProto, outputs: Sequence[str]) -> tuple[onnx.ModelProto, bool]:
    """A copy of the model with only what `outputs` need, in order, in float32 and at opset >= 18.

    Returns:
        The model, and whether it has quantised operators.

    Raises:
        VivavoceError: an output is not there, or the opset cannot be converted.
    """
    model = inliner.inline_local_functions(model) if model.functions else _copy(model)
    _keep_outputs(model, outputs)
    sort_nodes(model.graph)
    constants = {t.name for t in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in constants]
    del model.graph.input[:], model.graph.value_info[:]
    model.graph.input.extend(inputs)
    prune(model, [LABEL_BANK])
    quantised = write_out(model)
    set_aside(model)
    model = convert(model)
    to_float32(model)
    lower(model)
    prune(model, [LABEL_BANK])
    return model, quantised


def prune(model: onnx.ModelProto, keep: Iterable[str] = ()) -> onnx.ModelProto:
    """Drop, in place, the nodes and initializers that neither outputs nor `keep` need; return the model."""
    kept, read = needed(list(model.graph.node), {output.name for output in model.graph.output}.union(keep))
    unused = [k for k, t in enumerate(model.graph.initializer) if t.name not in read]
    for k in reversed(unused):
        del model.graph.initializer[k]
    if len(kept) < len(model.graph.node):
        del model.graph.node[:]
        model.graph.node.extend(kept)
    return model


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _keep_outputs(model: onnx.ModelProto, names: Sequence[str]) -> None:
    by_name = {output.name: output for output in model.graph.output}
    for name in names:
        if name not in by_name:
            raise VivavoceError(f"the model has no output `{name}`; {suggestion(name, by_name)}")
    del model.graph.output[:]
    for name in names:
        element = by_name[name].type.tensor_type.elem_type
        model.graph.output.append(helper.make_tensor_value_info(name, element, None))


def specialise(model: onnx.ModelProto, image: str, shape: Sequence[int]) -> onnx.ModelProto:
    """Fix the image's shape, simplify, and infer every other shape.

    Args:
        model: from `normalise`; it is changed.
        image: name of the input.
        shape: [N, C, H, W], all known.

    Raises:
        VivavoceError: onnxruntime cannot load the model with this shape.
    """
    model = fix_shape(model, image, shape)
    shapes.check_sizes(model, shape[0])
    bank = [t for t in model.graph.initializer if t.name == LABEL_BANK]
    model = _without_functions(simplify(model))
    if bank and all(t.name != LABEL_BANK for t in model.graph.initializer):
        model.graph.initializer.extend(bank)
    fold_batch_normalization(model)
    model = shapes.infer(model)
    if lower_sized(model):
        model = shapes.infer(model)
    explicit_pads(model)
    unmark(model)
    return model


def fix_shape(model: onnx.ModelProto, image: str, shape: Sequence[int]) -> onnx.ModelProto:
    """Give the inputs of a model one shape, in place; return it.

    Sizes of further inputs that share a name with one of the image's are the same; so is an open first one.

    Raises:
        VivavoceError: a further input leaves another size open.
    """
    tensor = next(v for v in model.graph.input if v.name == image).type.tensor_type
    names = {d.dim_param: size for d, size in zip(tensor.shape.dim, shape, strict=False) if d.dim_param}
    tensor.ClearField("shape")
    for size in shape:
        tensor.shape.dim.add().dim_value = size
    for other in model.graph.input:
        for k, dim in enumerate(other.type.tensor_type.shape.dim):
            if dim.dim_value <= 0:
                size = names.get(dim.dim_param, shape[0] if k == 0 else 0)
                if not size:
                    raise VivavoceError(
                        f"the input `{plain(other.name)}` leaves a size open that `{plain(image)}` does not "
                        "have; export the model with that size fixed"
                    )
                dim.dim_value = size
    return model


def _without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write operators that have no rule, but that the standard defines by others, out as those."""
    version = next(o.version for o in model.opset_import if o.domain in STANDARD)
    names = set()
    for node in model.graph.node:
        if node.domain in STANDARD and ("", node.op_type) not in RULES:
            schema: Any = onnx.defs.get_schema(node.op_type, version) if onnx.defs.has(node.op_type) else None
            if schema is not None and (schema.has_function or schema.has_context_dependent_function):
                names.add(("", node.op_type))
    if not names:
        return model
    model = shapes.infer(model)
    model.graph.value_info.extend(  # a body may depend on the types of constants too
        helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in model.graph.initializer
    )
    return simplify(inliner.inline_selected_functions(model, sorted(names), inline_schema_functions=True))


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Apply the basic optimisations of onnxruntime; they leave a standard graph.

    Raises:
        VivavoceError: onnxruntime cannot load the model.
    """
    with weights_folder() as folder:
        path = write_apart(without_weights(model), model.graph.initializer, folder)
        make_session(path, optimise="basic", optimised=folder / "optimised.onnx")
        return onnx.load(folder / "optimised.onnx")
