"""`audit gradient`: the gradient of a model as an ONNX file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..artifacts.preprocessing import Preprocessing
from ..console import say, terminal
from ..options import NO_PREPROCESSING, ModelArgument, takes_preprocessing

if TYPE_CHECKING:
    import onnx

    from ..artifacts import ExportedModel


@takes_preprocessing
def gradient(
    model: ModelArgument,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The .onnx file to write.")] = None,
    loss: Annotated[
        str, typer.Option(help="cross-entropy, margin, score, probability, smooth-l1 or difference.")
    ] = "cross-entropy",
    of: Annotated[
        str | None,
        typer.Option(help="Differentiate with respect to this value inside the model, not the input."),
    ] = None,
    list_values: Annotated[
        bool, typer.Option("--list-values", help="Show the values that --of takes, and stop.")
    ] = False,
    input_name: Annotated[str | None, typer.Option(help="Which input, where the model has several.")] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, max=65_536, help="Batch size of the file. Default: any, if the model takes any."),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="<n[,n…]>", help="Sizes of the input after the batch, if the model leaves one open."
        ),
    ] = None,
    layout: Annotated[
        Literal["portable", "ort-cpu"],
        typer.Option(help="portable, for any runtime, or ort-cpu, for onnxruntime's fast kernels on a CPU."),
    ] = "portable",
    straight_through: Annotated[
        bool, typer.Option("--straight-through", help="Estimate the gradient of Sign, Round and the like.")
    ] = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Write the gradient of a model's loss as an ONNX file.

    The model can take images or anything else. The file's inputs are the model's and `class`; its outputs are
    `scores`, `loss` and `gradient`.

    Example: audit gradient digits-category --loss margin -o gradient.onnx
    """
    from ..errors import VivavoceError, naming
    from ..files import check_parent, write_whole
    from ..gradient import InputGradient, gradient_file, open_gradient

    sizes = _sizes(shape)
    path, source, scores = _opened(model, preprocessing)
    if list_values:
        with naming(path):
            _show_values(source, input_name, scores, sizes)
        return
    if output is None:
        raise VivavoceError("nothing to write; give --output FILE.onnx, or --list-values")
    check_parent(output)
    with naming(path):
        found = open_gradient(
            source, loss, of=of, input=input_name, output=scores, straight_through=straight_through
        )
        assert isinstance(found, InputGradient)
        made = gradient_file(found, batch=batch, shape=sizes, layout=layout)
    write_whole(output, made.SerializeToString())
    say(f"{output}: the gradient of {loss} with respect to {found.of or found.input}")
    say(f"inputs: {_signature(made.graph.input)}")
    say(f"outputs: {_signature(made.graph.output)}")


def _opened(model: str, preprocessing: Preprocessing) -> tuple[Path, Path | ExportedModel, str | None]:
    """The file, what to differentiate, and the output that holds its scores if it is known.

    With options of preprocessing, or a file of them next to the model, that is the model behind its
    preprocessing, which takes images in 0..1; or else the file as it stands.
    """
    from ..artifacts import open_model
    from ..artifacts.model import find_model
    from ..errors import VivavoceError

    path = find_model(model)
    if path.suffix != ".onnx":
        raise VivavoceError(f"{path}: give an .onnx file; export the model to .onnx")
    given = preprocessing.given
    output = given.pop("output_name", None)
    if given or path.with_suffix(".toml").exists():
        return path, open_model(path, preprocessing), None
    return path, path, output


def _show_values(
    source: Path | ExportedModel, entry: str | None, scores: str | None, shape: tuple[int, ...] | None
) -> None:
    """Print the values that `--of` takes."""
    from ..artifacts.onnx_file import read_onnx
    from ..artifacts.onnx_model import OnnxModel
    from ..gradient import inner_values
    from ..gradient.opening import find_input, find_output
    from .explaining.table import show_values

    graph = source.graph if isinstance(source, OnnxModel) else read_onnx(Path(str(source)))
    entry, scores = entry or find_input(graph), scores or find_output(graph)
    values = inner_values(graph, image=entry, scores=scores, shape=shape)
    show_values(values, "value", terminal())


def _sizes(text: str | None) -> tuple[int, ...] | None:
    """Read `--shape`."""
    from ..errors import VivavoceError

    parts = [part.strip() for part in (text or "").split(",")] if text is not None else None
    if parts is not None and not all(part.isdecimal() and int(part) for part in parts):
        raise VivavoceError(f"--shape must be positive numbers separated by commas, not {text!r}")
    return None if parts is None else tuple(map(int, parts))


def _signature(values: Iterable[onnx.ValueInfoProto]) -> str:
    """Names, types and shapes, as in `image float32 [batch, 3, 32, 32]`."""
    from onnx import helper

    from ..text import plain

    shown = []
    for value in values:
        tensor = value.type.tensor_type
        sizes = ", ".join(d.dim_param or str(d.dim_value or "any") for d in tensor.shape.dim)
        kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        shown.append(f"{plain(value.name)} {kind} [{sizes}]")
    return ", ".join(shown)
