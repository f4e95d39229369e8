"""Quantises a float model to int8 with onnxruntime, and audits both."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from ...artifacts import ExportedModel, open_model
from ...artifacts.graph import part
from ...artifacts.onnx_model import OnnxModel
from ...artifacts.runtime import first_line, make_session
from ...errors import VivavoceError
from ...files import check_parent, replacing
from ...images import Fit, match, open_images
from ...images.imageset import to_float
from ..plan import Settings, source_of
from ..protocol import Protocol
from ..report import Report
from ..run import Progress
from ..several import audit_all, whole
from .comparison import Comparison, compare_reports
from .limits import Limits
from .repeating import audit_again

if TYPE_CHECKING:
    from onnxruntime.quantization import CalibrationDataReader

OPERATORS = ["Conv", "ConvTranspose", "Gemm", "MatMul"]
"""What becomes int8: the operators that hold the weights."""
CALIBRATION = 128
"""Images from which the ranges of activations are taken."""


def check_quantised(
    model: ExportedModel,
    int8: Path | None,
    settings: Settings,
    protocols: Sequence[Protocol],
    limits: Limits,
    save: Path | None = None,
    progress: Progress = lambda *_: None,
    trust: bool = False,
) -> tuple[Comparison, Report, Report]:
    """Audit a float model and its int8 version, and check the int8 version against the float one.

    Args:
        model: the float model.
        int8: the quantised file; None: make one.
        settings: how to audit both.
        protocols: under which, at least one.
        limits: how much worse the int8 file may be.
        save: where to save the quantised file.
        progress: as for `robustness`.
        trust: as for `open_model`, for the quantised file.

    Returns:
        The comparison and both reports, the float one's first.

    Raises:
        VivavoceError: there is no quantised file, and the model is not an ONNX file or onnxruntime cannot
            quantise it.
    """
    if save:
        check_parent(save)
    with tempfile.TemporaryDirectory() as folder:
        path = int8 or save or Path(folder) / f"{model.path.stem}-int8.onnx"
        if int8 is None:
            if not isinstance(model, OnnxModel):
                raise VivavoceError(
                    f"{model.path}: only .onnx files can be quantised; export the float network with "
                    "torch.onnx.export, or give the int8 file as well: audit quantize-check FLOAT INT8"
                )
            progress("quantising", 0, 0)
            quantise(model, calibration_images(model, settings), path)
        small = open_model(path, model.preprocessing, trust=trust)
        first = whole(audit_all(model, settings, protocols, progress)).report
        data = source_of(model, settings.data)
        second = audit_again(small, first, data, progress=progress).report
    return compare_reports(first, second, limits), first, second


def shipping(comparison: Comparison) -> str:
    """Whether the int8 file is safe to ship, in one sentence.

    It is safe if the upper end of every row's interval for the drop at `alpha` is within the row's tolerance,
    and unsafe if the check failed. Otherwise there are too few images to tell.
    """
    if not comparison.passed:
        return "not safe to ship"
    if not comparison.unsettled:
        return f"safe to ship, as far as {comparison.n} images can show"
    worst = comparison.unsettled[0]
    return (
        f"cannot tell whether it is safe to ship: on {comparison.n} images, {worst.title} may have dropped "
        f"by up to {worst.largest_drop:.1f} points ({1 - comparison.alpha:.0%} confidence), and "
        f"{worst.tolerance:g} are allowed; audit more images, or allow more with --max-drop"
    )


def calibration_images(model: ExportedModel, settings: Settings) -> np.ndarray:
    """Calibration images, float32 [n, C, H, W]; not audited ones, if there are enough others."""
    source = source_of(model, settings.data)
    images, _ = match(open_images(source), model.manifest.classes, model.named)
    audited = images.sample(settings.limit, settings.seed)
    others = np.setdiff1d(np.arange(len(images)), audited)
    pool = others if len(others) >= CALIBRATION else audited
    chosen = np.sort(np.random.default_rng(settings.seed).permutation(pool)[:CALIBRATION])
    return to_float(images.pixels(chosen, Fit.of(model.manifest.input)))


def quantise(model: OnnxModel, images: np.ndarray, path: Path) -> None:
    """Write an int8 version of a model: static, symmetric weights per channel, quantise-dequantise format.

    The distances to the label bank stay in float: the bank is small and not a weight of the network.

    Raises:
        VivavoceError: onnxruntime cannot quantise the model, or the file cannot be written.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quant_pre_process, quantize_static

    original = onnx.load(model.path)
    fed = _own_inputs(model, images)
    with tempfile.TemporaryDirectory() as folder, replacing(path) as made_at:
        whole, prepared = Path(folder) / "whole.onnx", Path(folder) / "prepared.onnx"
        logging.disable(logging.CRITICAL)  # onnxruntime's advice is for those who call it themselves
        try:
            # Folding constants would take the label bank out of the file.
            keep = model.bank is not None
            onnx.save(original, whole)  # external data included: onnxruntime's steps would leave them behind
            quant_pre_process(whole, prepared, skip_optimization=keep, skip_symbolic_shape=True)
            graph = onnx.load(prepared).graph
            quantize_static(
                prepared, made_at, _reader(fed), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=OPERATORS, nodes_to_exclude=_after_label(graph),
            )  # fmt: skip
            made = onnx.load(made_at)
            del made.metadata_props[:]
            made.metadata_props.extend(original.metadata_props)
            onnx.save(made, made_at)
        except Exception as error:  # its exceptions share no base class
            raise VivavoceError(
                f"{model.path}: onnxruntime cannot quantise this model: {first_line(error)}"
            ) from error
        finally:
            logging.disable(logging.NOTSET)


def _reader(batches: Iterator[dict[str, np.ndarray]]) -> CalibrationDataReader:
    """Gives a batch at a time, as onnxruntime's calibration asks."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict:
            return next(batches, None)  # type: ignore[return-value]  # None: no more

    return Reader()


def _own_inputs(model: OnnxModel, images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Batches of images as the file takes them, with the values of its other inputs."""
    size = model.pinned or 16
    whole = images[: len(images) // size * size or len(images)]
    batches = (whole[k : k + size] for k in range(0, len(whole), size))
    if model.understood is None:
        return ({"image": batch} for batch in batches)
    front, names = onnx.ModelProto(), model.understood.places
    front.CopyFrom(model.graph)
    del front.graph.output[:]
    for name, place in names.items():
        front.graph.node.append(helper.make_node("Identity", [place], [f"vivavoce/fed_{name}"]))
        front.graph.output.append(onnx.ValueInfoProto(name=f"vivavoce/fed_{name}"))
    fed = [output.name for output in front.graph.output]
    session = make_session(part(front, fed, ["image"]).SerializeToString(), str(model.path))
    return (
        dict(zip(names, map(np.asarray, session.run(fed, {"image": batch})), strict=True))
        for batch in batches
    )


def _after_label(graph: onnx.GraphProto) -> list[str]:
    """Nodes that come after the predicted label."""
    reached, names = {"label"}, []
    for node in graph.node:
        if reached & set(node.input):
            reached |= set(node.output)
            names.append(node.name)
    return names
