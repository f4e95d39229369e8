"""The manifest: what an exported model says about itself, versions 1 to 3.

Version 2 is version 1 with `names`, and only files that carry such sounds are marked 2. Version 3 is version
2 with `label.metric`, and only files whose labels are compared by such a metric are marked 3.

Stored as JSON in ONNX `metadata_props["vivavoce"]` and in the TorchScript extra file `vivavoce.json`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..errors import VivavoceError
from .limits import LONGEST_SIDE, LONGEST_WORD, MOST_BINS, MOST_CLASSES, FieldError, check_range, check_shape
from .metrics import METRICS, Metric
from .preprocessing import Interpolation, MetricName, Pool
from .runtime import first_line

SCHEMA = 3
"""The newest that this package reads."""
METADATA_KEY = "vivavoce"
TORCHSCRIPT_FILE = "vivavoce.json"
NAME_AUDIO = "name_audio"
"""Initializer, or buffer, with the sounds of `Manifest.names`."""


class Mel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a log-mel spectrogram (Chen et al. 2021, section 3 and released code)."""

    sample_rate: int = 22_050
    """Samples per second."""
    n_fft: int = 2048
    """Samples per analysis window."""
    hop: int = 256
    """Samples between windows."""
    fmin: float = 0.0
    """Lowest band edge, hertz."""
    fmax: float = 8000.0
    """Highest band edge, hertz."""
    floor: float = -80.0
    """Decibels relative to the maximum below which everything is silence."""

    def __post_init__(self) -> None:
        """Check what types alone cannot."""
        check_range("sample_rate", self.sample_rate, 1000, 768_000)
        check_range("n_fft", self.n_fft, 16, 65_536)
        check_range("hop", self.hop, 1, self.n_fft)
        check_range("fmax", self.fmax, 1, self.sample_rate / 2)
        check_range("fmin", self.fmin, 0, self.fmax - 1)
        check_range("floor", self.floor, -1000, -1)

    def check_sound(self, shape: tuple[int, ...], frames: tuple[int, ...] | None) -> None:
        """Check that labels of a shape are spectrograms of words.

        Raises:
            FieldError: they are not [bands, columns], or a word is longer than a minute.
        """
        if len(shape) != 2:
            raise FieldError(f"shape: a spectrogram has bands and columns, not {list(shape)}")
        bins = self.n_fft // 2 + 1
        check_range("shape: bands", shape[0], 1, MOST_BINS // bins)
        longest = min(LONGEST_WORD * self.sample_rate // self.hop, MOST_BINS // bins)
        for count in frames or shape[1:]:
            check_range("frames" if frames else "shape: columns", count, 1, longest)


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The label representation of a model that predicts labels, not logits."""

    kind: str
    """Name of the representation: `speech`, `constant`, ..."""
    shape: tuple[int, ...]
    """Shape of one label."""
    minimum: float
    maximum: float
    """Range of the label bank's entries (decibels for speech)."""
    digest: str
    """SHA-256 of the label bank, `LabelBank.digest`."""
    temperature: float
    """`scores` are minus the mean squared distance to each bank row divided by this."""
    frames: tuple[int, ...] | None = None
    """Per class, the spectrogram's own number of frames before it was resized; speech only."""
    mel: Mel | None = None
    """How the spectrograms were made; speech only."""
    metric: MetricName | None = None
    """How `scores` and `loss` compare predictions with the bank; schema 3.

    None: by the mean squared distance for `scores`, and the mean smooth L1 for `loss`. Else `scores` are a
    similarity, or minus a distance, over the temperature, and `loss` is one minus the cosine, minus the dot
    product, or the distance.
    """
    pool: Pool | None = None
    """Which of a class's labels counts where the bank holds several of each; schema 3."""
    several: int = 1
    """Labels M of each class: the bank is [K, M, *label shape] where there are more than one; schema 3."""

    @property
    def measure(self) -> Metric:
        """How `loss`, and the threshold for it, are shown."""
        return METRICS[self.metric or "smooth-l1"]

    @property
    def bank_shape(self) -> tuple[int, ...]:
        """Shape of the bank after its classes."""
        return self.shape if self.several == 1 else (self.several, *self.shape)

    def __post_init__(self) -> None:
        """Check what types alone cannot."""
        check_shape("shape", self.shape)
        check_shape("several", (self.several, *self.shape))
        if self.metric is None and (self.pool is not None or self.several > 1):
            raise FieldError("pool and several need a metric")
        if self.mel and self.several > 1:
            raise FieldError("several: a class has one spectrogram")
        check_range("temperature", self.temperature, 1e-12, 1e12)
        check_range("minimum", self.minimum, -1e30, 1e30)
        check_range("maximum", self.maximum, self.minimum, 1e30)
        if self.mel:
            self.mel.check_sound(self.shape, self.frames)


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The spoken class names that a file with silent labels carries beside them, as `name_audio`."""

    shape: tuple[int, ...]
    """Bands and columns of one spectrogram."""
    mel: Mel
    frames: tuple[int, ...] | None = None
    """Per class, the spectrogram's own number of frames."""

    def __post_init__(self) -> None:
        """Check what types alone cannot."""
        self.mel.check_sound(self.shape, self.frames)


class Decoding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an output becomes a class."""

    rule: Literal["nearest", "argmax"]
    """`nearest`: least mean squared distance to a bank row. `argmax`: largest score. The same on `scores`."""
    threshold: float | None = None
    """Value of `loss`, for most the mean smooth L1, below which a prediction counts as some class's label;
    label models only."""

    def __post_init__(self) -> None:
        """Check what types alone cannot."""
        if self.threshold is not None:
            check_range("threshold", self.threshold, -1e12, 1e12)


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file takes: float32 [N, channels, height, width] in 0..1."""

    height: int
    width: int
    channels: int = 3
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    """Normalisation per channel, in units of 0..1. It happens inside the file; epsilon needs it."""
    resize: int | None = None
    """Resize the shorter side to this before the centre crop to height x width; 0: crop without resizing;
    None: resize to height x width."""
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        """Check what types alone cannot."""
        check_range("height", self.height, 1, LONGEST_SIDE)
        check_range("width", self.width, 1, LONGEST_SIDE)
        check_shape("height, width, channels", (self.height, self.width, max(self.channels, 1)))
        if self.channels not in (1, 3):
            raise FieldError(f"channels: images have 1 or 3, not {self.channels}")
        for field, low in (("mean", -1e6), ("std", 1e-6)):
            values = getattr(self, field)
            if len(values) != self.channels:
                raise FieldError(f"{field}: needs one value per channel ({self.channels})")
            for value in values:
                check_range(field, value, low, 1e6)
        if self.resize is not None:
            check_range("resize", self.resize, 0, LONGEST_SIDE)


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a model comes from."""

    dataset: str
    split: str
    encoder: str
    recipe: str
    epochs: int
    seed: int
    accuracy: dict[str, float]
    """Final figures in 0..1, e.g. `{"test": 0.98, "test_threshold": 0.97}`."""
    parity: dict[str, float] = {}
    """Agreement of the file with the trained model when it was exported."""
    versions: dict[str, str] = {}
    """Versions of the packages that trained and exported it."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an exported model is."""

    classes: tuple[str, ...]
    """The data set's class names, in the order of `scores`."""
    decoding: Decoding
    input: Input
    spoken: tuple[str, ...] = ()
    """The word said for each class; empty for models that do not speak."""
    label: Label | None = None
    training: Training | None = None
    names: Names | None = None
    """Sounds of the class names, for a model whose labels have none; schema 2."""
    schema: int = 1
    """As `schema_of`."""

    def __post_init__(self) -> None:
        """Check what types alone cannot."""
        k = len(self.classes)
        if k < 2:
            raise FieldError(f"classes: a classifier needs at least 2, found {k}")
        if k > MOST_CLASSES:
            raise FieldError(f"classes: {k:,}; at most {MOST_CLASSES:,} are read")
        if len(set(self.classes)) != k:
            raise FieldError("classes: a name appears twice")
        if self.spoken and len(self.spoken) != k:
            raise FieldError(f"spoken: {len(self.spoken)} words for {k} classes")
        for field, part in (("label", self.label), ("names", self.names)):
            if part and part.frames is not None and len(part.frames) != k:
                raise FieldError(f"{field}.frames: {len(part.frames)} counts for {k} classes")
        metric = self.label.metric if self.label else None
        if self.schema != schema_of(self.names, self.label):
            raise FieldError("schema: 3 with `label.metric`, else 2 with `names`, else 1")
        if self.decoding.threshold is not None and metric != "dot":
            check_range("decoding.threshold", self.decoding.threshold, 1e-12, 1e12)
        if self.decoding.rule == "nearest" and self.label is None:
            raise FieldError("decoding.rule: `nearest` needs a label")

    def to_json(self) -> str:
        """Return the JSON text that files carry."""
        plain = msgspec.to_builtins(self)
        # Readers of earlier schemas do not know these.
        if self.names is None and self.schema < 3:
            del plain["names"]
        if self.label and self.label.metric is None:
            for field in ("metric", "pool", "several"):
                del plain["label"][field]
        return msgspec.json.encode(plain).decode()

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "manifest") -> Manifest:
        """Read a manifest, naming the field that is wrong.

        Raises:
            VivavoceError: the text is not JSON, a field is missing or of the wrong type, or the
                schema is newer than this package knows.
        """
        try:
            version = msgspec.json.decode(text, type=_Version).schema
            if version > SCHEMA:
                raise VivavoceError(
                    f"{where}: made by a newer vivavoce (manifest schema {version}, this one reads "
                    f"{SCHEMA}); upgrade vivavoce"
                )
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: not UTF-8
            raise VivavoceError(f"{where}: the vivavoce manifest is not valid: {first_line(error)}") from None


def schema_of(names: Names | None, label: Label | None) -> int:
    """The oldest schema that can say all of a model."""
    if label and label.metric:
        return 3
    return 1 if names is None else 2


class _Version(msgspec.Struct):
    schema: int
