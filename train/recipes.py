"""Training recipes: data (`recipes.toml`, or a user's own file), and what its fields mean."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..documents import convert, read_json, read_toml
from ..errors import VivavoceError
from ..text import suggestion


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to train: gradient descent under a schedule."""

    name: str
    epochs: int
    learning_rate: float
    schedule: Literal["steps", "one-cycle", "triangular"]
    batch_size: int = 128
    batch_per_class: int | None = None
    """Makes the batch this many times the number of classes."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    drops: tuple[float, ...] = (0.5, 0.75)
    """`steps`: shares of the epochs after which the rate falls to a tenth."""
    warmup: float = 0.2
    """`one-cycle`: share of the steps in which the rate rises from near zero; then a cosine down.
    `triangular`: share in which it rises from a fifth; then a straight line down to 0.07."""
    bias_scale: float = 1.0
    """The biases of the encoder's batch normalisation learn at this many times the rate, and decay at the
    same speed as the other weights."""
    head_scale: float = 1.0
    """The head learns at this many times the rate."""
    freeze_encoder: bool = False
    """Train the head alone: the encoder, batch statistics included, stays as the weights that a run starts
    from."""
    shuffle: bool = True
    """Draw a new order in every epoch; else the run's seed draws one for all."""
    crop_padding: int = 4
    """Random crops of the image padded by this many pixels, in proportion for images that are not 32 pixels
    wide; 0: none."""
    border: Literal["zero", "reflect"] = "zero"
    """What the padding holds."""
    flip: bool = True
    """Random horizontal flips."""
    alternate: bool = False
    """Flip an image at random in the first epoch, and from then on in every second epoch (Jordan 2024)."""
    cutout: int = 0
    """Fill a square of so many pixels, at a random place, with the mean colour (DeVries & Taylor 2017); in
    proportion for images that are not 32 pixels wide. 0: none."""
    normalise: bool = True
    """Bring the images to mean 0 and deviation 1 per channel; else they stay in 0..1."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Of the forward and backward pass; `auto`: bfloat16 where the processor multiplies in it."""
    channels_last: bool = False
    """Keep images and feature maps as [N, H, W, C] in memory."""
    ema: float = 0.0
    """Decay per step of a moving average of the weights, which is then what is judged and kept; 0: none."""
    lookahead: int = 0
    """Every so many steps the weights move to their average with the weights of the steps before; the share
    of the latter rises to 0.77 at the end (Zhang et al. 2019; schedule of Jordan 2024). 0: never."""
    label_smoothing: float = 0.0
    """Share of the target that cross-entropy spreads over all classes alike."""
    label_scaling: bool = False
    """Label models: the head predicts labels less the mean label, over the bank's spread."""
    regression: float = 1.0
    """Label models: weight of the smooth L1 loss, in the bank's units (over its spread when scaled)."""
    cross_entropy: float = 0.0
    """Label models: weight of the cross-entropy on `scores`, the distances to the bank's rows."""

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step, counted from 0 over the whole run."""
        if self.schedule == "steps":
            epoch = step // steps_per_epoch
            return self.learning_rate * 0.1 ** sum(epoch >= round(d * self.epochs) for d in self.drops)
        if self.schedule == "triangular":
            done = step / (self.epochs * steps_per_epoch)
            rising = done < self.warmup
            share = done / self.warmup if rising else (1 - done) / (1 - self.warmup)
            low = RISE_FROM if rising else FALL_TO
            return self.learning_rate * (low + (1 - low) * share)
        done = (step + 1) / (self.epochs * steps_per_epoch)
        if done < self.warmup:
            return self.learning_rate * done / self.warmup
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)))


SIDE = 32
"""Width of the images that `crop_padding` is given for."""

RISE_FROM, FALL_TO = 0.2, 0.07
"""`triangular`: where the rate starts and ends, as shares of the learning rate."""

POSITIVE = ("epochs", "batch_size", "learning_rate", "bias_scale", "head_scale")
SHARES = ("momentum", "warmup", "ema", "label_smoothing")
WEIGHTS = ("weight_decay", "crop_padding", "cutout", "lookahead", "regression", "cross_entropy")


def shipped() -> dict[str, dict[str, Any]]:
    """The recipes that ship, by name, as they stand in the file."""
    return tomllib.loads(resources.files("vivavoce.train").joinpath("recipes.toml").read_text("utf-8"))


def resolve(name: str, has_bank: bool, encoder: str = "", changes: dict[str, Any] | None = None) -> Recipe:
    """The recipe called `name`, or in the file `name`, for one kind of model, with fields changed.

    Args:
        name: a recipe that ships, or the path of a `.toml` or `.json` file with the fields of one.
        has_bank: False for a model on logits, which `paper` trains for a shorter time.
        encoder: name of the encoder; some recipes treat one apart.
        changes: fields to change; None leaves one as it is.

    Raises:
        VivavoceError: no such recipe or field, or a value out of range.
    """
    fields = _named(name)
    special = {key: fields.pop(key) for key in list(fields) if isinstance(fields[key], dict)}
    head = "label" if has_bank else "category"
    for key in (head, f"{head}.{encoder}"):
        fields |= special.get(key, {})
    fields |= {k: v for k, v in (changes or {}).items() if v is not None}
    try:
        recipe = convert(fields, Recipe, f"recipe {name}")
    except VivavoceError as error:
        raise VivavoceError(f"{error}; its fields are {', '.join(_FIELDS)}") from error
    if fault := next(_faults(recipe), None):
        raise VivavoceError(f"recipe {name}: {fault}")
    return recipe


_FIELDS = tuple(Recipe.__struct_fields__[1:])


def _named(name: str) -> dict[str, Any]:
    ours = shipped()
    if name in ours:
        return {"name": name, **ours[name]}
    path = Path(name)
    if path.suffix not in (".toml", ".json"):
        instead = f"give one of {', '.join(ours)}, or a .toml or .json file"
        raise VivavoceError(f"no recipe {name!r}; {suggestion(name, ours, instead)}")
    if path.suffix == ".toml":
        return {"name": path.stem, **read_toml(path, "a recipe")}
    return {"name": path.stem, **read_json(path, dict[str, Any], "a recipe")}


def _faults(recipe: Recipe) -> Iterator[str]:
    """Values out of range, in words."""
    for field in POSITIVE:
        if not 0 < getattr(recipe, field) < math.inf:
            yield f"{field.replace('_', ' ')} must be positive, not {getattr(recipe, field)}"
    if recipe.batch_per_class is not None and recipe.batch_per_class < 1:
        yield f"batch_per_class must be positive, not {recipe.batch_per_class}"
    for field in SHARES:
        if not 0 <= getattr(recipe, field) < 1:
            yield f"{field} must be at least 0 and below 1, not {getattr(recipe, field)}"
    for field in WEIGHTS:
        if not getattr(recipe, field) >= 0:
            yield f"{field} must not be negative, as {getattr(recipe, field)} is"
    if recipe.border == "reflect" and recipe.crop_padding >= SIDE:
        yield (
            f"crop_padding {recipe.crop_padding}: border `reflect` needs one below {SIDE}, the width that it "
            "is in proportion to"
        )
    if not recipe.regression + recipe.cross_entropy > 0:
        yield "regression and cross_entropy are both 0: nothing is left to train on"


def settle_batch(recipe: Recipe, classes: int, asked: int | None) -> Recipe:
    """The recipe with a batch in proportion to the classes made definite, unless a size was asked for."""
    if recipe.batch_per_class is None or asked is not None:
        return recipe
    return msgspec.structs.replace(recipe, batch_size=recipe.batch_per_class * classes)


def parse_changes(given: Iterable[str]) -> dict[str, Any]:
    """Read `field=value` pairs; a value is written as in TOML, quotes may be left out.

    Raises:
        VivavoceError: not such a pair.
    """
    changes: dict[str, Any] = {}
    for pair in given:
        field, equals, value = pair.partition("=")
        field = field.strip().replace("-", "_")
        if not equals or field not in _FIELDS:
            raise VivavoceError(f"--set {pair}: give field=value; the fields are {', '.join(_FIELDS)}")
        try:
            changes[field] = tomllib.loads(f"x = {value}")["x"]
        except (ValueError, RecursionError):  # not TOML: the word itself
            changes[field] = value.strip()
    return changes
