"""The kinds of change by name, with their strengths at each severity.

Corruptions: Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common corruptions and
perturbations". The strengths up to 64 pixels are those of CIFAR-10-C, the others those of ImageNet-C; elastic
and zoom blur follow the package imagecorruptions (Michaelis et al. 2019), which adapted them to any size.
"""

from __future__ import annotations

from collections.abc import Iterable

from PIL import Image

from ..attacks.base import Attack
from . import blurs, digital, geometry, light, noises, spatter, weather
from .change import Change, Reread, Strengths

BOX, NEAREST = Image.Resampling.BOX, Image.Resampling.NEAREST


def _five(*parameters: object) -> Strengths:
    """Parameters of severities 1 to 5."""
    return _at((1, 2, 3, 4, 5), parameters)


def _two(*parameters: object) -> Strengths:
    """Parameters of severities 2 and 4: all five of every kind would double the time of an audit."""
    return _at((2, 4), parameters)


def _at(severities: Iterable[int], parameters: Iterable[object]) -> Strengths:
    pairs = zip(severities, parameters, strict=True)
    return {severity: one if isinstance(one, tuple) else (one,) for severity, one in pairs}


CORRUPTIONS: dict[str, Attack] = {
    kind.name: kind
    for kind in (
        Change("gaussian-noise", noises.gaussian_noise,
               _five(0.04, 0.06, 0.08, 0.09, 0.10), _five(0.08, 0.12, 0.18, 0.26, 0.38)),
        Change("shot-noise", noises.shot_noise, _five(500, 250, 100, 75, 50), _five(60, 25, 12, 5, 3)),
        Change("impulse-noise", noises.impulse_noise,
               _five(0.01, 0.02, 0.03, 0.05, 0.07), _five(0.03, 0.06, 0.09, 0.17, 0.27)),
        Change("defocus", blurs.defocus,
               _five((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
               _five((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))),
        Change("glass-blur", blurs.glass_blur,
               _five((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
               _five((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))),
        Change("motion-blur", blurs.motion_blur,
               _five((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
               _five((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))),
        Change("zoom-blur", blurs.zoom_blur,
               _five((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
               _five((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))),
        Change("snow", weather.snow,
               _five((0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
                     (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9), (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
                     (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8)),
               _five((0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
                     (0.55, 0.3, 4, 0.9, 12, 8, 0.7), (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
                     (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55))),
        Change("frost", weather.frost,
               _five((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
               _five((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))),
        Change("fog", weather.fog,
               _five((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
               _five((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))),
        Change("brightness", weather.brightness,
               _five(0.05, 0.1, 0.15, 0.2, 0.3), _five(0.1, 0.2, 0.3, 0.4, 0.5)),
        Change("contrast", digital.contrast,
               _five(0.75, 0.5, 0.4, 0.3, 0.15), _five(0.4, 0.3, 0.2, 0.1, 0.05)),
        Change("elastic", digital.elastic,
               _five((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05),
                     (0.1, 0.03, 0.03)),
               _five((0.0625, 0.01, 0), (0.08125, 0.01, 0), (0.10625, 0.01, 0), (0.125, 0.01, 0),
                     (0.15, 0.01, 0))),
        Change("pixelate", digital.pixelate,
               _five((0.95, BOX), (0.9, BOX), (0.85, BOX), (0.75, BOX), (0.65, BOX)),
               _five((0.6, NEAREST), (0.5, NEAREST), (0.4, NEAREST), (0.3, NEAREST), (0.25, NEAREST))),
        Change("jpeg", digital.jpeg, _five(80, 65, 58, 50, 40), _five(25, 18, 15, 10, 7)),
    )
}  # fmt: skip
"""The fifteen that the mean corruption accuracy is over."""

EXTRA: dict[str, Attack] = {
    kind.name: kind
    for kind in (
        Change("speckle-noise", noises.speckle_noise,
               _five(0.06, 0.1, 0.12, 0.16, 0.2), _five(0.15, 0.2, 0.35, 0.45, 0.6)),
        Change("gaussian-blur", blurs.gaussian_blur, _five(0.4, 0.6, 0.7, 0.8, 1), _five(1, 2, 3, 4, 6)),
        Change("spatter", spatter.spatter,
               _five((0.62, 0.1, 0.7, 0.7, 0.5, False), (0.65, 0.1, 0.8, 0.7, 0.5, False),
                     (0.65, 0.3, 1, 0.69, 0.5, False), (0.65, 0.1, 0.7, 0.69, 0.6, True),
                     (0.65, 0.1, 0.5, 0.68, 0.6, True)),
               _five((0.65, 0.3, 4, 0.69, 0.6, False), (0.65, 0.3, 3, 0.68, 0.6, False),
                     (0.65, 0.3, 2, 0.68, 0.5, False), (0.65, 0.3, 1, 0.65, 1.5, True),
                     (0.67, 0.4, 1, 0.65, 1.5, True))),
        Change("saturate", digital.saturate,
               _five((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
               _five((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))),
    )
}  # fmt: skip
"""The four more that Hendrycks and Dietterich keep for tuning."""

LIGHT: dict[str, Attack] = {
    kind.name: kind
    for kind in (
        Change("underexposure", light.exposure, _two(1, 2.5)),
        Change("overexposure", light.overexposure, _two(0.75, 1.5)),
        Change("high-contrast", light.high_contrast, _two(1.5, 2.5)),
        Change("gamma", light.gamma, _two(1.5, 2.2)),
        Change("fade", light.fade, _two(0.5, 1)),
        Change("hue", light.hue, _two(20, 45)),
        Change("white-balance", light.white_balance, _two(0.35, 0.75)),
    )
}
"""Light and colour."""

FILES: dict[str, Attack] = {
    kind.name: kind
    for kind in (
        Change("webp", digital.webp, _two(30, 10)),
        Reread("resize-nearest", interpolation="nearest"),
        Reread("resize-bicubic", interpolation="bicubic"),
        Reread("resize-no-antialias", interpolation="bilinear", antialias=False),
        Change("colour-order", light.colour_order, _at((1,), [()])),
    )
}
"""What differs between the program that trained a model and the one that runs it."""


def _geometry() -> Iterable[Attack]:
    for name, motion, parameters, strengths in (
        ("rotation", geometry.rotated, 1, {2: 10, 4: 30}),
        ("translation", geometry.translated, 2, {2: 0.05, 4: 0.1}),
        ("scale", geometry.scaled, 1, {2: 1.15, 4: 1.4}),
        ("shear", geometry.sheared, 1, {2: 10, 4: 25}),
    ):
        yield Change(name, geometry.at_random(motion, parameters), _at(strengths, strengths.values()))
        yield geometry.Worst(f"{name}-worst", motion, parameters, strengths)
    yield Change("flip", geometry.mirrored, _at((1,), [()]))


GEOMETRY: dict[str, Attack] = {kind.name: kind for kind in _geometry()}
"""At random, and the worst of a grid."""

GROUPS = {
    "corruptions": CORRUPTIONS,
    "extra corruptions": EXTRA,
    "light and colour": LIGHT,
    "files and programs": FILES,
    "geometry": GEOMETRY,
}
"""Every kind, by the heading that reports show it under."""
KINDS: dict[str, Attack] = {name: kind for group in GROUPS.values() for name, kind in group.items()}
