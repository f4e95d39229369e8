"""Which of the usual preprocessings fits a model: each is tried on a few labelled images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ..artifacts import ExportedModel, decide, open_model
from ..artifacts.configs import as_option
from ..artifacts.preprocessing import Preprocessing
from ..errors import VivavoceError
from ..images import Fit, ImageSet, match, open_images
from ..images.imageset import to_float
from .statistics import sign_test

IMAGES, FIRST, KEPT = 64, 16, 8
"""Images in all; those that every preprocessing is tried on; how many of these are tried on the rest."""
NUMBERS: dict[str, dict[str, Any]] = {
    "0..1": {},
    "0..255": {"scale": 255.0},
    "-1..1": {"mean": (0.5,), "std": (0.5,)},
    "ImageNet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "CLIP": {"mean": (0.4815, 0.4578, 0.4082), "std": (0.2686, 0.2613, 0.2758)},
    "CIFAR-10": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.247, 0.2435, 0.2616)},
    "Caffe": {"scale": 255.0, "mean": (123.68, 116.779, 103.939)},
}
"""Ways to scale pixels, as training code writes them; the means are in the order R, G, B."""
PLAIN = {"scale": 1.0, "mean": (0.0,), "std": (1.0,)}
GREY_NUMBERS: dict[str, dict[str, Any]] = {
    **{name: NUMBERS[name] for name in ("0..1", "0..255", "-1..1")},
    "MNIST": {"mean": (0.1307,), "std": (0.3081,)},
}
ORDERS: dict[str, Callable[[str], Any]] = {
    "sorted as text": str,
    "sorted without regard to case": str.casefold,
    "sorted with numbers by value": lambda name: [
        (int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in re.split(r"(\d+)", name)
    ],
}
"""Orders in which training code numbers the folders of classes."""
EVIDENCE = 0.01
"""Largest p-value of the paired test at which a preprocessing counts as better than the one in use."""


@dataclass(frozen=True)
class Trial:
    """One way to feed a model, and what came of it."""

    added: dict[str, Any]
    """What differs from the preprocessing in use, by field of `Preprocessing`."""
    order: str
    """How the data set's classes were taken to be numbered."""
    right: np.ndarray
    """bool [n]: which images were classified correctly."""

    @property
    def accuracy(self) -> float:
        """Share of images classified correctly."""
        return float(self.right.mean())

    def as_options(self) -> str:
        """The options for the command line; empty where nothing differs."""
        return " ".join(as_option(name, value) for name, value in self.added.items())


@dataclass(frozen=True)
class Search:
    """What a search found."""

    opened: Trial
    """The preprocessing in use."""
    trials: tuple[Trial, ...]
    """Those tried on all images, the best first."""
    classes: tuple[str, ...]
    """The data set's classes."""
    chance: float

    @property
    def best(self) -> list[Trial]:
        """Those with the highest accuracy: similar numbers often do equally well."""
        return [trial for trial in self.trials if trial.accuracy == self.trials[0].accuracy]

    @property
    def better(self) -> Trial | None:
        """The best, if it is better than the one in use beyond chance."""
        best, own = self.trials[0].right, self.opened.right
        more, fewer = int((best & ~own).sum()), int((own & ~best).sum())
        return self.trials[0] if more > fewer and sign_test(more, fewer) <= EVIDENCE else None


def search(
    model: ExportedModel,
    data: str,
    given: Preprocessing,
    watch: Callable[[int, int], None] = lambda done, steps: None,
) -> Search:
    """Measure the accuracy of a model under the usual preprocessings and orders of its classes.

    Args:
        model: as opened with `given`. One with a manifest is only measured as it is.
        data: labelled images.
        given: the user's options, which stay as they are.
        watch: called with how many preprocessings of how many were tried.

    Raises:
        VivavoceError: the data do not fit the model.
    """
    images = open_images(data)
    sample = np.random.default_rng(0).permutation(images.sample(IMAGES, seed=0))
    orders = {order: labels[sample] for order, labels in _orders(images, model)}
    used = model.preprocessing
    seen: set[tuple[int, bytes]] = set()

    def attempt(added: dict[str, Any], count: int) -> Trial | None:
        try:
            fed = open_model(model.path, replace(used or given, **added)) if added else model
            pixels = to_float(images.pixels(sample[:count], Fit.of(fed.manifest.input)))
            scores = fed.answer(pixels).scores
        except VivavoceError:  # this model cannot be fed so
            return None
        if (count, digest := scores.tobytes()) in seen:  # the same layout, or grey images
            return None
        seen.add((count, digest))
        decided = decide(scores)
        rights = {order: decided == labels[:count] for order, labels in orders.items()}
        best = max(rights, key=lambda order: int(rights[order].sum()))
        return Trial(added, best, rights[best])

    opened = _opened(model, images, sample, next(iter(orders.items())))
    candidates = [] if used is None else list(_candidates(model, used, given))
    first: list[Trial] = []
    for done, added in enumerate(candidates):
        watch(done, len(candidates) + KEPT)
        if trial := attempt(added, FIRST):
            first.append(trial)
    first.sort(key=lambda trial: -trial.accuracy)
    whole = [attempt(trial.added, len(sample)) for trial in first[:KEPT]]
    ranked = sorted((opened, *filter(None, whole)), key=lambda trial: -trial.accuracy)
    return Search(opened, tuple(ranked), images.classes, 1 / len(model.manifest.classes))


def _opened(
    model: ExportedModel, images: ImageSet, sample: np.ndarray, order: tuple[str, np.ndarray]
) -> Trial:
    """The model as it is, with its classes in the order that audits take."""
    pixels = to_float(images.pixels(sample, Fit.of(model.manifest.input)))
    return Trial({}, order[0], decide(model.answer(pixels).scores) == order[1])


def _orders(images: ImageSet, model: ExportedModel) -> Iterator[tuple[str, np.ndarray]]:
    """The labels of all images under each order of the classes, first as audits take them."""
    matched, how = match(images, model.manifest.classes, model.named)
    yield how, matched.labels
    if model.named or not images.named or len(images.classes) != len(model.manifest.classes):
        return
    for order, key in ORDERS.items():
        place = {name: k for k, name in enumerate(sorted(images.classes, key=key))}
        labels = np.array([place[name] for name in images.classes], np.int64)[images.labels]
        if not np.array_equal(labels, matched.labels):
            yield f"folders {order}", labels


def _candidates(model: ExportedModel, used: Preprocessing, given: Preprocessing) -> Iterator[dict[str, Any]]:
    """What to change in the preprocessing in use; first nothing, but for the order of the classes."""
    colour = model.manifest.input.channels == 3
    fixed = given.given.keys()
    numbers = NUMBERS if colour else GREY_NUMBERS
    own = {"scale": used.scale or 1.0, "mean": used.mean or (0.0,), "std": used.std or (1.0,)}
    ways = [own if {"scale", "mean", "std"} & fixed else PLAIN | way for way in numbers.values()]
    channels = ["rgb", "bgr"] if colour and "channels" not in fixed else [used.channels]
    layouts = [used.layout] if "layout" in fixed else [used.layout, "nchw", "nhwc"]
    in_use = own | {"channels": used.channels or ("rgb" if colour else None), "layout": used.layout}
    seen = []
    for way, channel, layout in product([own, *ways], channels, layouts):
        tried = way | {"channels": channel, "layout": layout}
        if tried not in seen:
            seen.append(tried)
            yield {name: value for name, value in tried.items() if value != in_use[name]}


def describe(found: Search) -> list[str]:
    """What a search found, as lines to read."""
    opened, total = found.opened, len(found.opened.right)
    chance = f"chance {found.chance:.1%}"
    lines = [f"{total} images, {opened.order}: {opened.accuracy:.1%} accuracy ({chance})"]
    if len(found.trials) == 1:
        return lines
    better = found.better
    if better is None:
        best = found.trials[0]
        none = f"no other preprocessing is significantly better (the best: {best.accuracy:.1%})"
        return [*lines, none if best.accuracy > 2 * found.chance else f"{none}; none fits"]
    lines += [f"{trial.accuracy:.1%} with {_words(trial, opened)}" for trial in found.best[:KEPT]]
    if options := better.as_options():
        lines.append(f"to use the first: {options}")
    if better.order != opened.order:
        lines.append("to use its order: give --classes a file with the folders' names in this order")
    return lines


def _words(trial: Trial, opened: Trial) -> str:
    order = "" if trial.order == opened.order else trial.order
    return ", ".join(filter(None, (trial.as_options(), order))) or "the preprocessing in use"


def record(found: Search) -> dict[str, Any]:
    """What a search found, for programs."""
    return {
        "images": len(found.opened.right),
        "chance": found.chance,
        "accuracy": found.opened.accuracy,
        "order": found.opened.order,
        "better": found.better and _record(found.better),
        "trials": [_record(trial) for trial in found.trials],
    }


def _record(trial: Trial) -> dict[str, Any]:
    return {"options": trial.as_options(), "order": trial.order, "accuracy": trial.accuracy}
