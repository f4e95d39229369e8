"""How to feed and read a model that does not describe its preprocessing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import VivavoceError

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
"""Names of Pillow's resampling filters, in lower case."""

MetricName = Literal["cosine", "l2", "squared-l2", "dot", "hamming", "smooth-l1"]
Pool = Literal["max", "mean"]
"""Which of a class's labels counts where a bank holds several: the nearest, or all on average."""

Fixed = bool | int | float | tuple[float, ...] | str
"""The value of an input besides the image: a number, numbers, or the path of a .npy file."""


FEEDING = "Models without a manifest (or use <model>.toml with the same names)"
BANK = "Encoders without a manifest, with a label bank (or use <model>.toml with the same names)"


def _option(text: str, metavar: str | None = None, panel: str = FEEDING) -> Any:
    """A field that is also an option of the commands, with its help."""
    return field(default=None, metadata={"help": text, "metavar": metavar, "panel": panel})


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How to feed and read a model without a manifest; None means: infer it.

    The model gets `(x * scale - mean) / std` for x in 0..1. The fields are the options of the commands
    and the names in `<model>.toml`.
    """

    scale: float | None = _option("The model gets (x * SCALE - MEAN) / STD for x in 0..1, e.g. 255.")
    mean: tuple[float, ...] | None = _option("One value, or one per channel: 0.485,0.456,0.406.", "<m[,m,m]>")
    std: tuple[float, ...] | None = _option("One value, or one per channel.", "<s[,s,s]>")
    layout: Literal["nchw", "nhwc"] | None = _option("nchw or nhwc. Default: inferred from the shape.")
    channels: Literal["rgb", "bgr", "grey"] | None = _option("rgb, bgr or grey.")
    size: tuple[int, int] | None = _option("Height and width, if the file leaves them open.", "<h[xw]>")
    resize: int | None = _option("Resize the shorter side to this before the crop.")
    crop: int | None = _option("Side of the centre crop, which does not need --resize.")
    interpolation: Interpolation | None = _option("nearest, bilinear, bicubic or lanczos.")
    output_name: str | None = _option("Which output holds the scores: its name, or its number from 0.")
    classes: str | None = _option("File with one class name per line, in the order of the scores.", "<file>")
    fix: dict[str, Fixed] | None = _option(
        "Value of an input besides the image: a number, numbers with commas, or a .npy file; may repeat.",
        "NAME=VALUE",
    )
    bank: str | None = _option(
        "The output is an embedding; the nearest label of this bank decides. An .npz of `labels build`, or "
        "with the arrays `bank` [classes, ...] or [classes, labels of each, ...] and `classes`.",
        "<file.npz>",
        BANK,
    )
    metric: MetricName | None = _option(
        "cosine, l2, squared-l2, dot, hamming or smooth-l1. Default: the bank's own, or cosine.", None, BANK
    )
    pool: Pool | None = _option(
        "Of a class's several labels: max (the nearest counts, the default) or mean.", None, BANK
    )
    logit_scale: float | None = _option(
        "Scores are a similarity, or minus a distance, times this, e.g. CLIP's 100. Default: from the bank.",
        None,
        BANK,
    )
    threshold: float | None = _option(
        "Accept only what is this near to a label: a least similarity for cosine and dot, else a largest "
        "distance. Needs --metric.",
        None,
        BANK,
    )

    @property
    def given(self) -> dict[str, Any]:
        """The fields that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def refuse_options(path: Path, options: Preprocessing | None) -> None:
    """Refuse options for a file whose manifest answers them.

    Raises:
        VivavoceError: some are given.
    """
    if options and (given := options.given):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise VivavoceError(
            f"{path}: its manifest already says how to feed it; drop the preprocessing options ({names})"
        )
