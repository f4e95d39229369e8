"""The manifest: what an exported model says about itself, versions 1 and 2.

Version 2 is version 1 with `names`, and only files that carry such sounds are marked 2.

Stored as JSON in ONNX `metadata_props["vivavoce"]` and in the TorchScript extra file `vivavoce.json`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..errors import VivavoceError

SCHEMA = 2
"""The newest that this package reads."""
METADATA_KEY = "vivavoce"
TORCHSCRIPT_FILE = "vivavoce.json"
NAME_AUDIO = "name_audio"
"""Initializer, or buffer, with the sounds of `Manifest.names`."""

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


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


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The spoken class names that a file with silent labels carries beside them, as `name_audio`."""

    shape: tuple[int, ...]
    """Bands and columns of one spectrogram."""
    mel: Mel
    frames: tuple[int, ...] | None = None
    """Per class, the spectrogram's own number of frames."""


class Decoding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an output becomes a class."""

    rule: Literal["nearest", "argmax"]
    """`nearest`: least mean squared distance to a bank row. `argmax`: largest score. The same on `scores`."""
    threshold: float | None = None
    """Mean smooth L1 below which a prediction counts as some class's label; label models only."""


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

    def __post_init__(self) -> None:
        """Check what types alone cannot."""
        k = len(self.classes)
        if k < 2:
            raise ValueError(f"classes: a classifier needs at least 2, found {k}")
        if len(set(self.classes)) != k:
            raise ValueError("classes: a name appears twice")
        if self.spoken and len(self.spoken) != k:
            raise ValueError(f"spoken: {len(self.spoken)} words for {k} classes")
        if self.label and self.label.frames is not None and len(self.label.frames) != k:
            raise ValueError(f"label.frames: {len(self.label.frames)} counts for {k} classes")
        if self.label and not self.label.temperature > 0:
            raise ValueError(f"label.temperature: must be positive, is {self.label.temperature}")
        if self.names and self.names.frames is not None and len(self.names.frames) != k:
            raise ValueError(f"names.frames: {len(self.names.frames)} counts for {k} classes")
        if (self.names is not None) != (self.schema > 1):
            raise ValueError("schema: 2 with `names`, else 1")
        if min(self.input.height, self.input.width, self.input.channels) < 1:
            raise ValueError("input: height, width and channels must be at least 1")
        if self.input.resize is not None and self.input.resize < 0:
            raise ValueError(f"input.resize: must not be negative, is {self.input.resize}")
        for field in ("mean", "std"):
            if len(getattr(self.input, field)) != self.input.channels:
                raise ValueError(f"input.{field}: needs one value per channel ({self.input.channels})")
        if min(self.input.std) <= 0:
            raise ValueError("input.std: must be positive")
        if self.decoding.rule == "nearest" and self.label is None:
            raise ValueError("decoding.rule: `nearest` needs a label")

    def to_json(self) -> str:
        """Return the JSON text that files carry."""
        plain = msgspec.to_builtins(self)
        if self.names is None:
            del plain["names"]  # readers of schema 1 do not know it
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
        except msgspec.DecodeError as error:
            raise VivavoceError(f"{where}: the vivavoce manifest is not valid: {error}") from error


class _Version(msgspec.Struct):
    schema: int
