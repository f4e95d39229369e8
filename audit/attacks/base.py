"""The interface of an attack, its goal, and the ball that its results stay in."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from ...artifacts import decide
from ...artifacts.device import on_host
from ..grid import ON_GRID, Grid
from ..target import Target
from .norms import GEOMETRIES, Norm, flattened
from .streams import Streams

Shape = Literal["square", "disc"]


@dataclass(frozen=True)
class Ball:
    """All images of 0..1 that are within a radius of a clean one."""

    norm: Norm
    radius: np.ndarray
    """`linf`: half-width per channel in units of 0..1, float32 [C, 1, 1]; else one number, float32
    [1, 1, 1]: `l2` and `l1` in units of 0..1, `l0` a number of pixels, each with all its channels, `patch` a
    share of the image."""
    shape: Shape = "square"
    """Of a patch."""

    @property
    def severity(self) -> int:
        """The radius as a severity."""
        return int(self.radius.item())

    @property
    def widths(self) -> list[float]:
        """The radius of each channel, or the one radius of a ball that is no box."""
        return self.radius.ravel().tolist()

    @property
    def proportions(self) -> np.ndarray:
        """The radius over its largest entry, float32 shaped as `radius`; ones [1, 1, 1] for radius 0."""
        largest = self.radius.max()
        return self.radius / largest if largest > 0 else np.ones((1, 1, 1), np.float32)

    def confine(self, candidates: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Bring candidates [N, C, H, W] back into the ball around `images` and into 0..1.

        Every attack's result is clipped here before it is evaluated. A pixel that is not a number becomes the
        clean one. A confined image stays where it is when it is confined again.
        """
        candidates = np.where(np.isfinite(candidates), candidates, images)
        return GEOMETRIES[self.norm].confine(candidates, images, self.radius)

    def searched(self, images: np.ndarray, grid: Grid | None) -> Ball:
        """The box that an attack looks in: for pixels on a grid, it ends at the last step inside this one.

        The file would round a point beyond that step to one outside the box. An attack would take the answer
        to it for a success and stop, and `settle` would take it back.
        """
        if grid is None or self.norm != "linf":
            return self
        places = grid.place(images)
        radius = (np.floor(self.radius / grid.step + ON_GRID) * grid.step).astype(np.float32)
        if (np.abs(places - np.rint(places)) > ON_GRID).any() or (radius <= 0).any():
            return self
        return replace(self, radius=np.minimum(radius, self.radius))

    def settle(self, candidates: np.ndarray, images: np.ndarray, grid: Grid | None) -> np.ndarray:
        """Confine candidates, and put them on the grid of the file's pixels without leaving the ball.

        What a file that rounds pixels sees is then exactly what the report counts.
        """
        kept = self.confine(candidates, images)
        if grid is None:
            return kept
        places = grid.place(kept)
        if self.norm == "linf":
            low = np.ceil(grid.place(np.maximum(images - self.radius, 0)) - ON_GRID)
            high = np.floor(grid.place(np.minimum(images + self.radius, 1)) + ON_GRID)
            nearest = grid.at(np.clip(np.rint(places), low, np.maximum(high, low)))
            return self.confine(np.where(low <= high, nearest, images), images)
        nearest = np.clip(grid.at(np.rint(places)), 0, 1)
        start = grid.place(images)
        shorter = grid.at(start + np.trunc(places - start))
        # A component that did not change stays as it is to the bit, for the norms that count.
        nearest, shorter = (np.where(kept == images, images, moved) for moved in (nearest, shorter))
        far = self.size(nearest, images) > float(self.radius.max())
        inwards = np.zeros(images.shape, bool)
        if far.any():
            outwards = np.abs(np.rint(places) - start) - np.abs(places - start)
            inwards[far] = self._inwards(*(on_host(a)[far] for a in (nearest, shorter, images, outwards)))
        return np.where(inwards, shorter, nearest)

    def _inwards(
        self, nearest: np.ndarray, shorter: np.ndarray, images: np.ndarray, outwards: np.ndarray
    ) -> np.ndarray:
        """Which values to round towards the images instead of to the nearest: no more than it takes.

        Those come first that the nearest value of the grid moved `outwards` the most: for them the other
        value is about as near.
        """
        order = np.argsort(-flattened(outwards), axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None], 1)
        rank = rank.reshape(images.shape)

        def first(count: np.ndarray) -> np.ndarray:
            return rank < count[:, None, None, None]

        few, enough = np.zeros(len(images), int), np.full(len(images), order.shape[1])
        while (few < enough).any():
            middle = (few + enough) // 2
            rounded = np.where(first(middle), shorter, nearest)
            inside = self.size(rounded, images) <= float(self.radius.max())
            few, enough = np.where(inside, few, middle + 1), np.where(inside, middle, enough)
        return first(enough)

    def size(self, adversarial: np.ndarray, images: np.ndarray) -> np.ndarray:
        """How far each image was moved in the ball's norm, in the units of the radius: float64 [N].

        In the l-infinity norm that is the largest change of a pixel, whatever its channel.
        """
        return GEOMETRIES[self.norm].size(adversarial.astype(np.float64) - images)

    def in_radii(self, adversarial: np.ndarray, images: np.ndarray) -> np.ndarray:
        """How far each image was moved as a multiple of the radius, which is not 0: float64 [N]."""
        if self.norm == "linf":
            return GEOMETRIES["linf"].size((adversarial.astype(np.float64) - images) / self.radius)
        return self.size(adversarial, images) / float(self.radius.max())

    def whole(self, shape: tuple[int, ...]) -> Ball:
        """The ball of the same form that holds all images of this shape."""
        values = math.prod(shape)
        reach = {"linf": 1, "l2": math.sqrt(values), "l1": values, "l0": shape[1] * shape[2], "patch": 1}
        return Ball(self.norm, self.radius * np.float32(reach[self.norm] / self.radius.min()), self.shape)


@dataclass(frozen=True)
class Goal:
    """The goal of an attack."""

    labels: np.ndarray
    """int64 [N]: the true classes."""
    targets: np.ndarray | None = None
    """int64 [N]: the classes to reach; None: any but the true one."""

    @property
    def targeted(self) -> bool:
        """Whether the goal is a given class, and not just any wrong one."""
        return self.targets is not None

    @property
    def classes(self) -> np.ndarray:
        """int64 [N]: the class that the loss is computed for: the true class, or the target."""
        return self.labels if self.targets is None else self.targets

    @property
    def direction(self) -> np.float32:
        """+1 to climb the loss of the true class, -1 to descend that of a target class."""
        return np.float32(-1 if self.targeted else 1)

    def part(self, chosen: np.ndarray) -> Goal:
        """The goal of some of the images; `chosen` is an index or mask."""
        return Goal(self.labels[chosen], None if self.targets is None else self.targets[chosen])

    def reached(self, scores: np.ndarray) -> np.ndarray:
        """Whether the decision on scores [N, K] is what the attack wants: bool [N]."""
        decisions = decide(scores)
        return decisions != self.labels if self.targets is None else decisions == self.targets


class Attack(ABC):
    """Turns images into adversarial images and sees only a `Target` of the model.

    The class attributes describe the attack to protocols and reports.
    """

    name: str
    """Names its random streams, so variants that differ in their settings alone may share it."""
    needs_gradient: ClassVar[bool] = True
    """Whether it needs gradients; otherwise it needs scores only."""
    needs_others: ClassVar[bool] = False
    """Whether it starts from other images of the data set (`Target.others`)."""
    takes_target: ClassVar[bool] = True
    """Whether a target class changes what it does."""
    minimal: bool = False
    """Whether it looks for the smallest perturbation, whatever the balls."""
    on_boundary: bool = False
    """Whether its examples lie on the decision boundary by design, however large the ball is."""
    many_targets: bool = False
    """Whether without a target it aims at one other class after another."""
    stays_in_ball: ClassVar[bool] = True
    """Whether its results are clipped to the ball and to 0..1 before they are evaluated."""
    counts: ClassVar[bool] = True
    """Whether its results count in the verdict."""
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")
    """The norms that it knows."""
    everyone: ClassVar[bool] = False
    """Whether every image gets it, also those that the model gets wrong, and its answer stands."""
    severities: tuple[int, ...] = ()
    """What it has instead of epsilons; empty for attacks in a ball."""
    on_device: ClassVar[tuple[Norm, ...]] = ()
    """The norms in which `sweep` also takes a `DeviceArray` of images; see `Target.place`."""

    def results(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """Run `sweep` where the target keeps images, in the boxes to search, and bring the results back."""
        balls = [ball.searched(images, target.grid) for ball in balls]
        stays = all(ball.norm in self.on_device for ball in balls)
        placed = target.place(images) if stays else images
        for found in self.sweep(target, placed, goal, balls, streams):
            yield on_host(found)

    @abstractmethod
    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """Attack images [N, C, H, W] in 0..1 within each ball in turn.

        Args:
            target: the model under attack.
            images: the clean images.
            goal: the classes to avoid or to reach.
            balls: the allowed perturbations, by rising radius.
            streams: a random stream per image.

        Yields:
            Adversarial images [N, C, H, W], one batch per ball: the best found for each image.
        """
