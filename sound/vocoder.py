"""The vocoder as an ONNX graph: from the predicted spectrogram to sound, inside the file.

The same steps as `sound.playback`, for a whole batch, in standard operators: any runtime of ONNX can
make the file speak, with no Python beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..artifacts import voice
from ..artifacts.manifest import Label, Mel
from ..errors import VivavoceError
from . import playback
from .mel import hann, inverse_filter_bank

WAVEFORM, SAMPLES = voice.OUTPUTS
PREFIX = "voice/"
"""Of every name in the graph that the vocoder adds."""


class Nodes:
    """A list of ONNX nodes in the making; values are referred to by name."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.made: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: object, dtype: type = np.float32) -> str:
        """Store an array; return its name."""
        array = np.asarray(value, dtype)
        name = f"{self.prefix}c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def __call__(self, operator: str, *inputs: str, out: str | Sequence[str] = "", **attributes: Any) -> str:
        """Add a node; return the name of its (first) output."""
        outputs = [out or f"{self.prefix}{len(self.made)}"] if isinstance(out, str) else list(out)
        self.made.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]


def add_vocoder(model: onnx.ModelProto, label: Label) -> None:
    """Give a model with `scores` and `label` the outputs `waveform` and `samples`, in place.

    `waveform` is float32 [N, L] at `label.mel.sample_rate`, zeros after each image's own end, which
    `samples` int64 [N] tells; L is the length of the longest class.

    Raises:
        VivavoceError: its labels are not spectrograms.
    """
    graph, g, mel = model.graph, Nodes(PREFIX), check_sound(label)
    Vocoder(g, label, mel).build()
    graph.node.extend(g.made)
    graph.initializer.extend(g.constants)
    waveform = helper.make_tensor_value_info(WAVEFORM, TensorProto.FLOAT, ["N", longest(label) * mel.hop])
    graph.output.extend([waveform, helper.make_tensor_value_info(SAMPLES, TensorProto.INT64, ["N"])])


def check_sound(label: Label | None) -> Mel:
    """How the sound of a label was made.

    Raises:
        VivavoceError: it has none.
    """
    if label is None or label.mel is None:
        kind = f"{label.kind} labels" if label else "category labels"
        raise VivavoceError(f"{kind} are not spectrograms: there is no sound to put into the file")
    return label.mel


def longest(label: Label) -> int:
    """Frames of the longest class."""
    return max(label.frames or label.shape[1:])


class Vocoder:
    """Builds the graph. Shapes: N images, T frames of the longest class, F frequencies, H samples a hop."""

    def __init__(self, g: Nodes, label: Label, mel: Mel) -> None:
        self.g, self.label, self.mel = g, label, mel
        self.frames, self.bins, self.overlaps = longest(label), mel.n_fft // 2 + 1, mel.n_fft // mel.hop
        self.axis0, self.axis1, self.axis2, self.last = (g.constant([k], np.int64) for k in (0, 1, 2, -1))
        self.window = g.constant(hann(mel.n_fft))

    def build(self) -> None:
        """Make `waveform` and `samples` from `scores` and `label`."""
        g = self.g
        counts = g.constant(self.label.frames or [self.frames] * 2, np.int64)
        if self.label.frames:
            own = g("Gather", counts, g("ArgMax", "scores", axis=1, keepdims=0))
        else:
            batch = g("Slice", g("Shape", "scores"), self.axis0, self.axis1)
            own = g("Expand", g.constant([self.frames], np.int64), batch)
        g("Mul", own, g.constant(self.mel.hop, np.int64), out=SAMPLES)
        count = g("Unsqueeze", g("Cast", own, to=TensorProto.FLOAT), self.axis1)  # [N, 1]
        decibels = g("Clip", "label", g.constant(self.mel.floor), g.constant(0))
        instants = g.constant(np.arange(self.frames))
        present = g("Unsqueeze", g("Cast", g("Less", instants, count), to=TensorProto.FLOAT), self.axis2)
        magnitude = g("Mul", self.magnitude(self.stretch(decibels, count, instants)), present)
        sound = g("Mul", self.griffin_lim(magnitude, present), present)  # [N, T, H]
        sound = g("Reshape", sound, g.constant([0, -1], np.int64))
        loudest = g("ReduceMax", g("Abs", sound), self.axis1, keepdims=1)
        gain = g("Div", g.constant(playback.PEAK), g("Max", loudest, g.constant(1e-9)))
        highest = g(
            "ReduceMax", g("Reshape", decibels, g.constant([0, -1], np.int64)), self.axis1, keepdims=1
        )
        audible = g("Cast", g("Greater", highest, g.constant(self.mel.floor)), to=TensorProto.FLOAT)
        g("Mul", sound, g("Mul", gain, audible), out=WAVEFORM)

    def stretch(self, decibels: str, count: str, instants: str) -> str:
        """Columns brought to each image's own frames, linearly: [N, bands, T]. See `playback.stretch`."""
        g, columns = self.g, self.label.shape[1]
        centre = g("Div", g("Mul", g("Add", instants, g.constant(0.5)), g.constant(columns)), count)
        centre = g("Clip", g("Sub", centre, g.constant(0.5)), g.constant(0), g.constant(columns - 1))
        places = g.constant(np.arange(columns)[:, None])
        apart = g("Abs", g("Sub", g("Unsqueeze", centre, self.axis1), places))  # [N, columns, T]
        return g("MatMul", decibels, g("Relu", g("Sub", g.constant(1), apart)))

    def magnitude(self, decibels: str) -> str:
        """Linear magnitudes by the pseudo-inverse of the mel filter bank: [N, T, F]."""
        g = self.g
        power = g("Exp", g("Mul", decibels, g.constant(np.log(10) / 10)))
        inverse = inverse_filter_bank(self.label.shape[0], self.mel)
        heard = int(np.flatnonzero(inverse.any(1)).max()) + 1  # nothing above the highest band
        linear = g("MatMul", g.constant(inverse[:heard]), power)
        linear = g("Pad", linear, g.constant([0, 0, 0, 0, self.bins - heard, 0], np.int64))
        magnitude = g("Sqrt", g("Max", linear, g.constant(playback.FAINTEST)))
        return g("Transpose", magnitude, perm=[0, 2, 1])

    def griffin_lim(self, magnitude: str, present: str) -> str:
        """Fast Griffin-Lim (see `playback.griffin_lim`): sound [N, T, H]."""
        g = self.g
        squares = g("Mul", present, g("Mul", self.window, self.window))  # [N, T, n_fft]
        weight = g("Add", overlap(g, squares, self.overlaps), g.constant(playback.SPREAD))
        phases = self.first_phases()
        phase = g("Concat", *(g("Unsqueeze", g(part, phases), self.last) for part in ("Cos", "Sin")), axis=-1)
        magnitude = g("Unsqueeze", magnitude, self.last)
        phase = g("Expand", phase, g("Shape", g("Concat", magnitude, magnitude, axis=-1)))  # [N, T, F, 2]
        # A spectrum of one side, its inner frequencies doubled, has the wanted sound as its real part.
        sides = np.full((self.bins, 1), 2.0)
        sides[[0, -1]] = 1
        wanted = g("Mul", magnitude, g.constant(sides))
        before = g("Mul", phase, g.constant(0))
        body = self.round(wanted, weight)
        rounds, go_on = g.constant(playback.ITERATIONS, np.int64), g.constant(True, np.bool_)
        after = [f"{PREFIX}phase", f"{PREFIX}consistent"]
        g("Loop", rounds, go_on, phase, before, out=after, body=body)
        sound = self.sound(g, after[0], wanted, weight)
        margin = self.overlaps // 2
        return g("Slice", sound, g.constant([margin], np.int64), g.constant([margin + self.frames], np.int64),
                 self.axis1)  # fmt: skip

    def first_phases(self) -> str:
        """`playback.first_phases`, computed and not stored: [T, F]."""
        g, prime = self.g, self.g.constant(playback.PRIME, np.int64)
        factor = g.constant(playback.MULTIPLIER, np.int64)

        def square(value: str) -> str:
            return g("Mod", g("Mul", value, value), prime)

        numbers = [g.constant(k, np.int64) for k in (0, self.frames * self.bins, 1)]
        start = g("Mod", g("Mul", g("Range", *numbers), factor), prime)
        mixed = square(g("Mod", g("Add", square(start), factor), prime))
        turn = g("Mul", g("Cast", mixed, to=TensorProto.DOUBLE),
                 g.constant(2 * np.pi / playback.PRIME, np.float64))  # fmt: skip
        shape = g.constant([self.frames, self.bins], np.int64)
        return g("Reshape", g("Cast", turn, to=TensorProto.FLOAT), shape)

    def sound(self, g: Nodes, phase: str, wanted: str, weight: str) -> str:
        """Windowed inverse transforms, overlapped and added: [N, T + n_fft/H - 1, H]."""
        bins, size = self.bins, self.mel.n_fft
        spectrum = g("Reshape", g("Mul", phase, wanted), g.constant([-1, bins, 2], np.int64))
        complete = g("DFT", spectrum, g.constant(size, np.int64), axis=1, inverse=1)  # filled up with zeros
        real = g("Slice", complete, self.axis0, self.axis1, self.axis2)
        frames = g("Reshape", real, g.constant([-1, self.frames, size], np.int64))
        return g("Div", overlap(g, g("Mul", frames, self.window), self.overlaps), weight)

    def round(self, wanted: str, weight: str) -> onnx.GraphProto:
        """One iteration as the body of the Loop: to sound and back, then momentum on the phases."""
        g = Nodes(PREFIX + "round/")
        bins, size, last = self.bins, self.mel.n_fft, self.last
        sound = self.sound(g, "phase_in", wanted, weight)
        hops = [
            g("Slice", sound, g.constant([j], np.int64), g.constant([j + self.frames], np.int64), self.axis1)
            for j in range(self.overlaps)
        ]
        windowed = g("Mul", g("Concat", *hops, axis=-1), self.window)
        windowed = g("Reshape", windowed, g.constant([-1, size, 1], np.int64))
        spectrum = g("DFT", windowed, axis=1, onesided=1)
        consistent = g("Reshape", spectrum, g.constant([-1, self.frames, bins, 2], np.int64),
                       out=f"{g.prefix}consistent")  # fmt: skip
        damping = g.constant(playback.MOMENTUM / (1 + playback.MOMENTUM))
        direction = g("Sub", consistent, g("Mul", "consistent_in", damping))
        length = g("ReduceL2", direction, last, keepdims=1)
        phase = g("Div", direction, g("Add", length, g.constant(1e-16)), out=f"{g.prefix}phase")
        g("Identity", "go_on_in", out=f"{g.prefix}go_on")
        made = [f"{g.prefix}go_on", phase, consistent]
        inputs = [
            helper.make_tensor_value_info("round_in", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on_in", TensorProto.BOOL, []),
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", self.frames, bins, 2])
              for name in ("phase_in", "consistent_in")),
        ]  # fmt: skip
        outputs = [
            helper.make_tensor_value_info(name, info.type.tensor_type.elem_type, None)
            for name, info in zip(made, inputs[1:], strict=True)
        ]
        return helper.make_graph(g.made, "round", inputs, outputs, g.constants)


def overlap(g: Nodes, frames: str, overlaps: int) -> str:
    """Frames [N, T, n_fft], a hop apart, added up: [N, T + overlaps - 1, H]."""
    hops = [f"{g.prefix}hop{len(g.made)}_{j}" for j in range(overlaps)]
    sizes = {"num_outputs": overlaps}
    g("Split", frames, out=hops, axis=2, **sizes)
    placed = [
        g("Pad", hop, g.constant([0, j, 0, 0, overlaps - 1 - j, 0], np.int64)) for j, hop in enumerate(hops)
    ]
    return g("Sum", *placed)
