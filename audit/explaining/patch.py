"""A part of the spoken word: the same model, that compares only this part of its prediction."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...artifacts import ExportedModel
from ...artifacts.graph import consumed, part, rename
from ...artifacts.manifest import Label
from ...artifacts.onnx_model import OnnxModel
from ...errors import VivavoceError
from ...gradient.losses import LABEL_BANK
from ...sound.mel import to_hertz, to_mel
from .colours import shade

FORM = "FROM:TO[,LOW:HIGH]"
PALE = 0.6
"""How much white lies over what is outside a patch."""


class Patch(NamedTuple):
    """A rectangle of a spectrogram."""

    start: float
    """Where it begins and ends, in per cent of the word's length."""
    end: float
    low: float
    """Lowest and highest frequency, hertz."""
    high: float

    @classmethod
    def read(cls, text: str) -> Patch:
        """Read `--patch`: `20:45` or `20:45,2000:8000`.

        Raises:
            VivavoceError: it is written otherwise, or empty.
        """
        try:
            first, *second = ([float(n) for n in pair.split(":")] for pair in text.split(","))
            (start, end), (low, high) = first, second[0] if second else (0.0, np.inf)
            found = cls(start, end, low, high)
            if len(second) > 1 or not (0 <= start < end <= 100 and 0 <= low < high):
                raise ValueError
        except ValueError:
            raise VivavoceError(
                f"--patch must be {FORM}, per cent of the word and hertz, as in 20:45,2000:8000; not {text!r}"
            ) from None
        return found

    def mask(self, label: Label) -> np.ndarray:
        """Which entries of a label [bands, columns] belong to it: those whose middle it covers.

        Raises:
            VivavoceError: no entry does.
        """
        assert label.mel is not None
        bands, columns = label.shape
        ends = to_mel(np.array([label.mel.fmin, label.mel.fmax]))
        hertz = to_hertz(np.linspace(ends[0], ends[1], bands + 2))[1:-1]
        share = (np.arange(columns) + 0.5) / columns * 100
        rows, times = (hertz >= self.low) & (hertz <= self.high), (share >= self.start) & (share <= self.end)
        if not rows.any() or not times.any():
            raise VivavoceError(
                f"--patch: no part of the spectrogram; it has {bands} bands, {hertz[0]:.0f} to "
                f"{hertz[-1]:.0f} Hz, and {columns} columns"
            )
        return rows[:, None] & times

    def drawn(self, predicted: np.ndarray, label: Label) -> np.ndarray:
        """A spectrogram [bands, columns] that is pale outside the patch: uint8 [bands, columns, 3]."""
        share = np.clip((predicted - label.minimum) / max(label.maximum - label.minimum, 1e-9), 0, 1)
        colours = shade(share, False)
        pale = np.rint(PALE * 255 + (1 - PALE) * colours).astype(np.uint8)
        return np.where(self.mask(label)[..., None], colours, pale)[::-1]

    def about(self, label: Label, goal: int) -> str:
        """The patch in seconds of a class's word, and in hertz: `0.09 to 0.20 s, 2000 to 8000 Hz`."""
        assert label.mel is not None
        frames = label.frames[goal] if label.frames else label.shape[1]
        length = frames * label.mel.hop / label.mel.sample_rate
        low, high = max(self.low, label.mel.fmin), min(self.high, label.mel.fmax)
        return (
            f"{self.start / 100 * length:.2f} to {self.end / 100 * length:.2f} s, {low:.0f} to {high:.0f} Hz"
        )


def only(model: ExportedModel, patch: Patch) -> OnnxModel:
    """The model with the patch as its only sound.

    Its scores and distances are the patch's part of the model's own: over patches that tile the spectrogram
    they sum to those.

    Raises:
        VivavoceError: the model predicts no spectrograms, or is no ONNX file.
    """
    label = model.manifest.label
    if label is None or label.mel is None or label.metric or model.bank is None:
        raise VivavoceError(
            f"{model.path}: predicts no spectrogram; --patch is for models with spoken labels"
        )
    if not isinstance(model, OnnxModel):
        raise VivavoceError(f"{model.path}: --patch needs an .onnx file; export the model to .onnx")
    mask = patch.mask(label).astype(np.float32)
    # Distances stay the same if both sides are moved, and rounding is smaller near zero.
    centre = model.bank.mean(0, dtype=np.float64).astype(np.float32)
    other = copy.copy(model)
    other.__dict__.pop("session", None)
    other.bank = (model.bank - centre) * mask
    other.graph = _graph(model.graph, other.bank, centre, mask, label.temperature)
    return other


STEPS = (
    ("Sub", "whole centre", "moved"),
    ("Mul", "moved mask", "label"),
    ("Reshape", "label row", "flat"),
    ("Mul", "flat flat", "square"),
    ("ReduceSum", "square last", "squares"),
    ("MatMul", "flat columns", "products"),
    ("Sub", "squares products", "less"),
    ("Add", "less lengths", "distances"),
    ("Mul", "distances weight", "scores"),
    ("Unsqueeze", "flat second", "spread"),
    ("Sub", "spread rows", "apart"),
    ("Abs", "apart", "size"),
    ("Min", "size one", "short"),
    ("Mul", "short half", "halved"),
    ("Sub", "size halved", "long"),
    ("Mul", "short long", "entries"),
    ("ReduceSum", "entries last", "sums"),
    ("Squeeze", "sums last", "total"),
    ("Mul", "total share", "loss"),
)
"""Operator, inputs and output of what compares a label with the bank: mean squares, and mean smooth L1."""


def _graph(
    model: onnx.ModelProto, bank: np.ndarray, centre: np.ndarray, mask: np.ndarray, temperature: float
) -> onnx.ModelProto:
    """The model up to its label; then the patch of it, and its scores and distances."""
    graph = part(model, ["label"], ["image"])
    rows = bank.reshape(len(bank), -1)
    size = rows.shape[1]
    constants = {
        "centre": centre,
        "mask": mask,
        "row": np.array([-1, size]),
        "last": np.array([-1]),
        "second": np.array([1]),
        "columns": np.ascontiguousarray(2 * rows.T),
        "lengths": np.square(rows, dtype=np.float64).sum(1).astype(np.float32),
        "weight": np.float32(-1 / (size * temperature)),
        "rows": rows,
        "one": np.float32(1),
        "half": np.float32(0.5),
        "share": np.float32(1 / size),
    }
    prefix = "patch."
    while any(
        name.startswith(prefix) for node in graph.graph.node for name in (*consumed(node), *node.output)
    ):
        prefix += "_"
    rename(graph.graph, "label", f"{prefix}whole")
    for name in (LABEL_BANK, "scores", "loss"):
        rename(graph.graph, name, f"{prefix}own_{name}")
    public = ("label", "scores", "loss")
    names = {n: n if n in public else f"{prefix}{n}" for step in STEPS for n in " ".join(step[1:]).split()}
    for operator, inputs, output in STEPS:
        graph.graph.node.append(
            helper.make_node(operator, [names[n] for n in inputs.split()], [names[output]])
        )
    graph.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), names[name]) for name, array in constants.items()
    )
    graph.graph.initializer.append(numpy_helper.from_array(bank, LABEL_BANK))
    del graph.graph.output[:]
    graph.graph.output.extend(output for output in model.graph.output if output.name in public)
    return graph
