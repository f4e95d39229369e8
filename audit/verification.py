"""Verification: is an image accepted as the identity that it claims, and what attacks make of that.

A claim is accepted if the loss to the identity's labels is under a threshold. Two things can go wrong, and
each has its attack: a genuine claim is rejected (Auto-PGD away from the own identity), or an impostor's is
accepted (Auto-PGD towards the claimed one). Both climb as far as they get, so that one run gives the rates at
every threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from ..artifacts import ExportedModel
from ..artifacts.preprocessing import MetricName
from ..errors import VivavoceError
from ..images.imageset import to_float
from .attacks.apgd import ascend
from .attacks.base import Ball
from .attacks.directions import random_direction
from .attacks.streams import Streams
from .plan import Plan, Settings
from .statistics import wilson
from .target import Target

STEPS = 100
"""Gradient steps on every claim."""


class Share(msgspec.Struct, frozen=True):
    """A share of claims with its 95 % Wilson interval."""

    share: float
    interval: tuple[float, float]
    count: int

    @classmethod
    def of(cls, hits: np.ndarray) -> Share:
        """The share of bool [N]."""
        return cls(float(hits.mean()), wilson(int(hits.sum()), len(hits)), len(hits))


class Rates(msgspec.Struct, frozen=True):
    """What becomes of claims at one threshold."""

    threshold: float
    """In the units of the metric."""
    false_reject: Share
    false_accept: Share
    false_reject_attacked: Share
    false_accept_attacked: Share


class Verification(msgspec.Struct, frozen=True):
    """Rates at the model's threshold, and at the thresholds that keep a wanted rate of false acceptance."""

    model: str
    data: str
    metric: MetricName
    epsilon: str
    wanted: float
    """The rate of false acceptance that is kept."""
    own: Rates | None
    """At the model's threshold; None: it has none."""
    clean: Rates
    """At the threshold that keeps the wanted rate on images as they are."""
    attacked: Rates
    """At the threshold that keeps it under attack."""


@dataclass(frozen=True)
class Claims:
    """Losses of claims, float64 [N] each: smaller is nearer to the claimed identity."""

    genuine: np.ndarray
    impostor: np.ndarray
    genuine_attacked: np.ndarray
    impostor_attacked: np.ndarray

    def rates(self, loss: float, shown: Callable[[float], float]) -> Rates:
        """The rates at a threshold for the loss."""
        rejected = (Share.of(~(losses < loss)) for losses in (self.genuine, self.genuine_attacked))
        accepted = (Share.of(losses < loss) for losses in (self.impostor, self.impostor_attacked))
        (reject, reject_attacked), (accept, accept_attacked) = rejected, accepted
        return Rates(shown(loss), reject, accept, reject_attacked, accept_attacked)


def verify(
    model: ExportedModel,
    settings: Settings,
    wanted: float = 0.01,
    progress: Callable[[str, int, int], None] = lambda *_: None,
    steps: int = STEPS,
) -> Verification:
    """Measure false rejection and false acceptance, without attack and under attack.

    Each image makes two claims: of its own class, and of another one that is drawn from the seed.

    Args:
        model: one that compares its predictions with a label bank.
        settings: data, sample, seed, and the protocol, of which the largest epsilon is taken.
        wanted: share of impostors that may be accepted.
        progress: called with what is going on, how many images are done, and of how many.
        steps: gradient steps on every claim.

    Raises:
        VivavoceError: the model has no label bank or no gradient, or the data do not fit it.
    """
    label = model.manifest.label
    if label is None:
        raise VivavoceError(f"{model.path}: verification needs a label bank; give it with --bank BANK.npz")
    if not 0 < wanted < 1:
        raise VivavoceError(f"the wanted rate must be between 0 and 1, not {wanted:g}")
    plan = Plan.of(model, settings)
    if plan.target.gradient_missing is not None:
        raise VivavoceError(
            f"{model.path}: no gradient to attack claims with: {plan.target.gradient_missing}"
        )
    epsilon = plan.protocol.epsilons[-1]
    claims = _claims(plan, plan.protocol.ball(epsilon, model.manifest.input), steps, progress)
    shown, threshold = label.measure.shown, model.manifest.decoding.threshold
    return Verification(
        model=model.path.name,
        data=plan.images.name,
        metric=label.metric or "smooth-l1",
        epsilon=plan.protocol.written(epsilon),
        wanted=wanted,
        own=None if threshold is None else claims.rates(threshold, shown),
        clean=claims.rates(keeping(claims.impostor, wanted), shown),
        attacked=claims.rates(keeping(claims.impostor_attacked, wanted), shown),
    )


def keeping(losses: np.ndarray, wanted: float) -> float:
    """The largest threshold under which at most a wanted share of the losses [N] lies."""
    return float(np.sort(losses)[int(np.floor(wanted * len(losses)))])


def _claims(plan: Plan, ball: Ball, steps: int, progress: Callable[[str, int, int], None]) -> Claims:
    """The losses of all claims, and those that attacks make of them."""
    found: list[list[np.ndarray]] = [[], [], [], []]
    for start in range(0, len(plan.indices), plan.batch_size):
        chosen = slice(start, start + plan.batch_size)
        indices = plan.indices[chosen]
        images = to_float(plan.images.pixels(indices, plan.fit))
        labels = plan.images.labels[indices]
        streams = Streams.of(plan.seed, "verification", indices)
        for k, (classes, sign) in enumerate(((labels, 1), (plan.goals[chosen], -1))):
            before = _losses(plan.target, images, classes)
            after = _climbed(plan.target, images, classes, sign, ball, streams.fork(k), steps)
            found[k].append(before)
            # The image as it is lies in the ball too.
            found[k + 2].append(np.maximum(before, after) if sign > 0 else np.minimum(before, after))
        progress("verifying", min(chosen.stop, len(plan.indices)), len(plan.indices))
    return Claims(*map(np.concatenate, found))


def _losses(target: Target, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    losses = target.answer(images).loss
    assert losses is not None
    return losses[np.arange(len(classes)), classes].astype(np.float64)


def _climbed(
    target: Target,
    images: np.ndarray,
    classes: np.ndarray,
    sign: int,
    ball: Ball,
    streams: Streams,
    steps: int,
) -> np.ndarray:
    """The losses after Auto-PGD away from a class (sign 1) or towards it (-1), by the file itself: [N]."""

    def objective(points: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gradient = target.distance_gradient(points, classes[places])
        losses = _losses(target, points, classes[places])
        return sign * losses, sign * gradient, np.zeros(len(points), bool)

    direction = random_direction(streams, 0, images.shape[1:], ball.norm)
    start = ball.confine(images + ball.radius * direction, images)
    found, _ = ascend(objective, images, np.arange(len(images)), ball, start, steps)
    return _losses(target, ball.settle(found, images, target.grid), classes)
