"""The gradient of a model given by path, as opened, or as it was read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from ..artifacts import ExportedModel, open_model
from ..artifacts.head import FLOATS
from ..artifacts.model import find_model
from ..artifacts.onnx_file import read_onnx
from ..artifacts.onnx_model import OnnxModel
from ..artifacts.torch_model import TorchModel
from ..errors import VivavoceError, naming
from ..text import plain
from .session import SCORES, InputGradient

if TYPE_CHECKING:
    from .torchscript import TorchScriptGradient


def open_gradient(
    model: str | Path | ExportedModel | onnx.ModelProto,
    loss: str = "cross-entropy",
    *,
    of: str | None = None,
    input: str | None = None,  # noqa: A002 -- what ONNX calls it
    output: str | None = None,
    device: str = "cpu",
    straight_through: bool = False,
) -> InputGradient | TorchScriptGradient:
    """Open the gradient of a model's loss: a callable that maps inputs and classes to loss, gradient, scores.

    The model may take anything with a batch as its first dimension: images, tables, sequences, embeddings.

    Args:
        model: path of an `.onnx` or TorchScript file, name of a shipped model, a model from `open_model`, or
            an ONNX graph. Of a path the gradient is that of the file as it stands: no preprocessing is added.
        loss: a name in `gradient.losses.LOSSES`.
        of: a value inside the model, with respect to which the gradient is taken; None: the input.
        input: name of the input, where an ONNX graph has several.
        output: name of the output that holds the scores, where an ONNX graph has several.
        device: `cpu` or `cuda`; an opened model keeps its own.
        straight_through: take step functions (Sign, Round, Floor, ...) as the identity instead of refusing.

    Raises:
        UnsupportedOperator: the gradient is not available.
        VivavoceError: no such model, loss, input, output or value.
    """
    if isinstance(model, str | Path):
        path = find_model(model)
        if path.suffix != ".onnx" or path.is_dir() or path.stat().st_size == 0:
            return open_gradient(open_model(path, device=device), loss, of=of, input=input, output=output)
        with naming(path):
            graph = read_onnx(path)
            return _of_graph(graph, loss, of, input, output, device, straight_through)
    if isinstance(model, onnx.ModelProto):
        return _of_graph(model, loss, of, input, output, device, straight_through)
    with naming(model.path):
        if isinstance(model, OnnxModel):
            return _of_graph(model.graph, loss, of, input, output, model.device, straight_through)
        if not isinstance(model, TorchModel) or of or input or output:
            raise VivavoceError("`of`, `input` and `output` need an ONNX model; export it to .onnx")
        from .torchscript import gradient_of

        return gradient_of(model, loss)


def _of_graph(
    model: onnx.ModelProto,
    loss: str,
    of: str | None,
    entry: str | None,
    output: str | None,
    device: str,
    straight_through: bool,
) -> InputGradient:
    return InputGradient(
        model,
        loss,
        image=entry or find_input(model),
        device=device,
        straight_through=straight_through,
        scores=output or find_output(model),
        of=of,
    )


def find_input(model: onnx.ModelProto) -> str:
    """The input to differentiate by: `image`, the only one, or the only one of floats.

    Raises:
        VivavoceError: it is not clear which.
    """
    weights = {t.name for t in model.graph.initializer}
    entries = [v for v in model.graph.input if v.name not in weights]
    return _chosen(entries, "image", "input")


def find_output(model: onnx.ModelProto) -> str:
    """The output of scores: `scores`, the only one, or the only one of floats.

    Raises:
        VivavoceError: it is not clear which.
    """
    return _chosen(list(model.graph.output), SCORES, "output")


def _chosen(values: list[onnx.ValueInfoProto], usual: str, what: str) -> str:
    names = [v.name for v in values]
    floats = [v.name for v in values if v.type.tensor_type.elem_type in FLOATS]
    if usual in names:
        return usual
    for some in (names, floats):
        if len(some) == 1:
            return some[0]
    shown = ", ".join(f"`{plain(name)}`" for name in names) or "none"
    raise VivavoceError(f"the model has {len(names)} {what}s ({shown}); choose one with --{what}-name")
