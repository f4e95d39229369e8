"""Preprocessing that other tools declare: in a file's metadata, or in a file next to the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from ..notices import say_once
from ..text import plain
from .names import CONFIG, parse_literal, read_config
from .preprocessing import Preprocessing

PROCESSOR = "preprocessor_config.json"
"""Where Hugging Face keeps an image processor's settings."""
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of the filters, which Hugging Face writes."""
TOGETHER = ({"scale", "mean", "std"}, {"size", "resize", "crop"}, {"interpolation"}, {"channels"})
"""Settings of which none is taken where the user has given one."""


def with_declared(options: Preprocessing, metadata: Mapping[str, str], path: Path) -> Preprocessing:
    """Fill what options leave open from what the exporter declared; a line on standard error says so.

    Read are `preprocessor_config.json` (Hugging Face) and `config.json` (timm) in the model's folder, and the
    metadata of ultralytics. A part that cannot be understood is passed over.

    Args:
        options: those of the command line and of `<model>.toml`, which come first.
        metadata: the file's own entries.
        path: the model.
    """
    declared = {
        PROCESSOR: _hugging_face(read_config(path.parent / PROCESSOR)),
        CONFIG: _timm(read_config(path.parent / CONFIG)),
        "its metadata": _ultralytics(metadata),
    }
    for source, settings in declared.items():
        if not settings:
            continue
        with suppress(msgspec.ValidationError):
            found = msgspec.convert(settings, Preprocessing).given
            chosen = {name for group in TOGETHER if group & options.given.keys() for name in group}
            fresh = {name: value for name, value in found.items() if name not in chosen}
            if fresh:
                shown = " ".join(as_option(name, value) for name, value in fresh.items())
                say_once(f"{plain(path.name)}: preprocessing from {source}: {shown}")
            return replace(options, **fresh)
    return options


def as_option(name: str, value: Any) -> str:
    """A field of `Preprocessing` as one writes it on a command line."""
    if name == "size":
        value = "x".join(map(str, value))
    elif isinstance(value, tuple):
        value = ",".join(f"{v:g}" for v in value)
    elif isinstance(value, float):
        value = f"{value:g}"
    return f"--{name.replace('_', '-')} {value}"


def _hugging_face(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an image processor of transformers."""
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    if not (kind or {"image_mean", "do_normalize", "do_rescale"} & config.keys()):
        return {}
    with suppress(TypeError, ValueError, KeyError, OverflowError, ZeroDivisionError):
        given: dict[str, Any] = {}
        rescaled = config.get("do_rescale", True)
        scale = 255 * float(config.get("rescale_factor", 1 / 255)) if rescaled else 255.0
        if abs(scale - 1) > 1e-4:
            given["scale"] = scale
        mean, std = [0.0], [1.0]
        if config.get("do_normalize", "MobileViT" not in kind):  # its mean is written, and not used
            mean, std = _numbers(config.get("image_mean", 0.0)), _numbers(config.get("image_std", 1.0))
        if config.get("rescale_offset"):  # EfficientNet's processor: x * factor - 1
            mean = [m + 1 for m in mean]
        if "EfficientNet" in kind and config.get("include_top", True):  # divided by the deviation twice
            std = [s * s for s in std]
        if any(mean) or any(s != 1 for s in std):
            given |= {"mean": mean, "std": std}
        if config.get("do_flip_channel_order") or "PPLCNet" in kind:
            given["channels"] = "bgr"
        given |= _hugging_face_size(config, kind)
        if config.get("resample") in FILTERS:
            given["interpolation"] = FILTERS[config["resample"]]
        return given
    return {}


def _hugging_face_size(config: Mapping[str, Any], kind: str) -> dict[str, Any]:
    size = config.get("size")
    cropped = config.get("do_center_crop", False)
    short = size.get("shortest_edge") if isinstance(size, dict) else size if cropped else None
    if "ConvNext" in kind and short and short < 384:  # larger images are squeezed, not cropped
        share = config.get("crop_pct") or 224 / 256
        return {"resize": int(short / share), "crop": int(short)}
    if cropped:
        crop = config.get("crop_size", 224)
        side = int(crop["height"] if isinstance(crop, dict) else crop)
        if isinstance(crop, dict) and crop["height"] != crop["width"]:
            return {}
        resized = _before_the_crop(config, kind, size, short) if config.get("do_resize", True) else None
        return {"crop": side} | ({"resize": resized} if resized else {})
    if isinstance(size, dict) and "height" in size:
        return {"size": [int(size["height"]), int(size["width"])]}
    side = short or size
    return {"size": [int(side)] * 2} if isinstance(side, int | float) else {}


def _before_the_crop(config: Mapping[str, Any], kind: str, size: Any, short: Any) -> int | None:
    """The length of the shorter side from which the centre is cropped.

    DeiT's and Flava's processors squeeze the image to a square first; of square images this is the same.
    """
    if short is None and isinstance(size, dict) and "height" in size:
        return int(config.get("resize_short") or min(size["height"], size["width"]))
    share = 224 / 256 if "Levit" in kind else config.get("crop_pct") if "PoolFormer" in kind else None
    return int(short / (share or 1)) if short else None


def _timm(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in the `config.json` of a model of timm."""
    own = config.get("pretrained_cfg", config)
    if not isinstance(own, dict) or not {"mean", "std", "input_size"} <= own.keys():
        return {}
    with suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
        _, height, width = map(int, own["input_size"])
        given = {"mean": _numbers(own["mean"]), "std": _numbers(own["std"])}
        share = float(own.get("crop_pct") or 0.875)
        if own.get("crop_mode", "center") == "center" and height == width and math.isfinite(share):
            given |= {"resize": math.floor(height / share), "crop": height}
        else:
            given["size"] = [height, width]
        if own.get("interpolation") in FILTERS.values():
            given["interpolation"] = own["interpolation"]
        return given
    return {}


def _ultralytics(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a classifier of ultralytics: the shorter side resized, the centre cropped."""
    if metadata.get("author") != "Ultralytics" or metadata.get("task") != "classify":
        return {}
    size = parse_literal(metadata.get("imgsz", ""))
    if isinstance(size, list) and len(size) == 2 and size[0] == size[1] and isinstance(size[0], int):
        return {"resize": size[0], "crop": size[0]}
    return {}


def _numbers(value: Any) -> list[float]:
    return [float(one) for one in value] if isinstance(value, list) else [float(value)]
