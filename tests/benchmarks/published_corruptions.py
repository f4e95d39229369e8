"""The corruptions of the protocol `natural` against the package imagecorruptions-imaug, given the same draws.

    pip install imagecorruptions-imaug==1.1.5
    python tests/benchmarks/published_corruptions.py [HEIGHT WIDTH]

At most 64 pixels: the package's functions with the constants of CIFAR-10-C, from make_cifar_c.py of
github.com/hendrycks/robustness. Prints for each kind the largest difference in grey levels over five
severities, the share of values that differ by more than one, and how far mean and spread are apart.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import imagecorruptions.corruptions as published
import numpy as np
import skimage.data
from PIL import Image

from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.natural.change import SMALL, Change
from vivavoce.audit.natural.draws import Draws
from vivavoce.audit.natural.kinds import CORRUPTIONS, EXTRA

LONGER = {"defocus": "defocus_blur", "elastic": "elastic_transform", "jpeg": "jpeg_compression"}
CIFAR = {
    "gaussian_noise": "[.04, .06, .08, .09, .10]",
    "shot_noise": "[500, 250, 100, 75, 50]",
    "impulse_noise": "[.01, .02, .03, .05, .07]",
    "speckle_noise": "[.06, .1, .12, .16, .2]",
    "gaussian_blur": "[.4, .6, .7, .8, 1]",
    "glass_blur": "[(.05, 1, 1), (.25, 1, 1), (.4, 1, 1), (.25, 1, 2), (.4, 1, 2)]",
    "defocus_blur": "[(.3, .4), (.4, .5), (.5, .6), (1, .2), (1.5, .1)]",
    "motion_blur": "[(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)]",
    "zoom_blur": "[np.arange(1, end, .01) for end in (1.06, 1.11, 1.16, 1.21, 1.26)]",
    "fog": "[(.2, 3), (.5, 3), (.75, 2.5), (1, 2), (1.5, 1.75)]",
    "frost": "[(1, .2), (1, .3), (.9, .4), (.85, .4), (.75, .45)]",
    "snow": "[(.1, .2, 1, .6, 8, 3, .95), (.1, .2, 1, .5, 10, 4, .9), (.15, .3, 1.75, .55, 10, 4, .9),"
    " (.25, .3, 2.25, .6, 12, 6, .85), (.3, .3, 1.25, .65, 14, 12, .8)]",
    "spatter": "[(.62, .1, .7, .7, .5, 0), (.65, .1, .8, .7, .5, 0), (.65, .3, 1, .69, .5, 0),"
    " (.65, .1, .7, .69, .6, 1), (.65, .1, .5, .68, .6, 1)]",
    "contrast": "[.75, .5, .4, .3, .15]",
    "brightness": "[.05, .1, .15, .2, .3]",
    "saturate": "[(.3, 0), (.1, 0), (1.5, 0), (2, .1), (2.5, .2)]",
    "jpeg_compression": "[80, 65, 58, 50, 40]",
    "pixelate": "[.95, .9, .85, .75, .65]",
}
"""CIFAR-10-C's constants. Its `elastic_transform` differs in more than those, and is not compared."""


def with_cifars_constants() -> types.ModuleType:
    """The package's functions with other constants."""
    source = Path(str(published.__file__)).read_text("utf-8")
    for name, constants in CIFAR.items():
        start = rf"(def {name}\([^)]*\):.*?    c = )\[.*?\]\[\s*severity - 1\]"
        replacement = rf"\g<1>{constants}[severity - 1]"
        source, count = re.subn(start, replacement, source, count=1, flags=re.DOTALL)
        assert count == 1, name
    module = types.ModuleType("small")
    module.__file__, module.__package__ = published.__file__, published.__package__
    exec(compile(source.replace("Image.NEAREST", "Image.BOX"), "small", "exec"), module.__dict__)
    return module


def photos(height: int, width: int) -> np.ndarray:
    """Four photographs, uint8 [4, height, width, 3]."""
    found = []
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = Image.fromarray(getattr(skimage.data, name)())
        scale = max(height / picture.height, width / picture.width)
        sides = [int(np.ceil(side * scale)) for side in picture.size]
        picture = picture.resize((sides[0], sides[1]))
        left, top = (sides[0] - width) // 2, (sides[1] - height) // 2
        found.append(np.asarray(picture.crop((left, top, left + width, top + height))))
    return np.stack(found)


def drawn(draw: Callable, first: float, second: float, shape: tuple[int, ...] | None) -> np.ndarray:
    """A draw in the order of [C, H, W], as [H, W, C]."""
    if shape is not None and len(shape) == 3:
        return draw(first, second, (shape[2], *shape[:2])).transpose(1, 2, 0)
    return draw(first, second, () if shape is None else shape)


def theirs(function: Callable, pixels: np.ndarray, severity: int, draws: Draws, replay: bool) -> np.ndarray:
    """The package's result; its global random numbers come from `draws`."""

    def normal(loc: float = 0.0, scale: float = 1.0, size=None) -> np.ndarray:
        return drawn(draws.normal, loc, scale, size)

    def uniform(low: float = 0.0, high: float = 1.0, size=()) -> np.ndarray:
        return drawn(draws.uniform, low, high, size)

    generator = types.SimpleNamespace(random=lambda shape: drawn(draws.uniform, 0, 1, shape))
    with (
        mock.patch.object(np.random, "normal", normal),
        mock.patch.object(np.random, "uniform", uniform),
        mock.patch.object(np.random, "default_rng", return_value=generator) if replay else nullcontext(),
    ):
        return np.uint8(function(Image.fromarray(pixels), severity))  # type: ignore[return-value]


def compare(kind: Change, module: types.ModuleType, pictures: np.ndarray) -> str:
    """A line about one kind."""
    name = LONGER.get(kind.name, kind.name.replace("-", "_"))
    images = (pictures.transpose(0, 3, 1, 2) / 255).astype(np.float32)
    ours, others = [], []
    for severity in kind.severities:
        streams = Streams.of(0, kind.name, np.arange(len(pictures)))
        ours.append(np.rint(kind.apply(images, severity, streams) * 255).transpose(0, 2, 3, 1))
        for k, picture in enumerate(pictures):
            draws = Draws(streams.fork(severity).part(np.array([k])))
            function = getattr(module, name)
            others.append(theirs(function, picture, severity, draws, kind.name == "impulse-noise"))
    mine, other = np.concatenate(ours), np.stack(others).astype(float)
    apart = np.abs(mine - other)
    means, spreads = (abs(f(mine) - f(other)) for f in (np.mean, np.std))
    return f"{kind.name:15s} {apart.max():5.0f} {100 * (apart > 1).mean():9.3f} {means:8.2f} {spreads:8.2f}"


def main() -> None:
    """Print the table."""
    height, width = map(int, sys.argv[1:3] or ("224", "224"))
    small = max(height, width) <= SMALL
    module, pictures = with_cifars_constants() if small else published, photos(height, width)
    print(f"{'':15s} {'most':>5s} {'over 1, %':>9s} {'mean':>8s} {'spread':>8s}")
    for kind in (*CORRUPTIONS.values(), *EXTRA.values()):
        assert isinstance(kind, Change)
        if not (small and kind.name == "elastic"):
            print(compare(kind, module, pictures))


if __name__ == "__main__":
    main()
