"""The data of the diagnosis: the outcomes of one fixed set of images under every probe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Observations:
    """Outcomes on the n images of the diagnosis, all of which the model decides correctly.

    An attack that is compared with `iterative` need not have run on all of them. Where it did not, because
    no outcome there could raise an alarm, it counts as equal. A probe that could not run is None.
    `paper` and `margin` are read off the audit's own rows where it has them, on all its m images.
    """

    classes: int
    """Number of classes K."""
    epsilon: float
    """Radius of the probes' ball in pixel units, its largest over the channels."""
    clean_correct: int
    """Images of the whole audit decided correctly."""
    clean_total: int
    dead: float
    """Share of all gradients of the audit that were zero everywhere, or not finite."""
    gradients_missing: str | None = None
    """Why there is no gradient; None if there is one."""
    gradients_estimated: str | None = None
    """Why it is a straight-through estimate; None if it is not."""
    piecewise_constant: bool = False
    """Whether there is no exact gradient because the scores are piecewise constant."""
    strayed: tuple[int, int] = (0, 0)
    """Images whose scores behind a gradient were compared with the file's, and how many differed."""
    not_finite: tuple[int, int] = (0, 0)
    """Clean and changed images with a score that is infinite or not a number, of all that the file scored."""
    single_step: np.ndarray | None = None
    """bool [n]: broken by FGSM."""
    iterative: np.ndarray | None = None
    """bool [n]: broken by PGD on the margin."""
    longer: np.ndarray | None = None
    """bool [n]: broken by PGD on the margin with twice the steps."""
    wider: np.ndarray | None = None
    """bool [n]: broken by PGD on the margin with twice the epsilon."""
    huge: np.ndarray | None = None
    """bool [n]: broken by PGD on the margin in a box of half the range."""
    grey: np.ndarray | None = None
    """bool [n]: the model decides otherwise for a grey picture, which lies in that box."""
    paper: np.ndarray | None = None
    """bool [m]: broken by the paper's iterative method on its own loss; label models only."""
    margin: np.ndarray | None = None
    """bool [m]: the same images, broken by an attack on the decision's margin."""
    compared_at: tuple[float, int] = (0.0, 1)
    """Epsilon (of the protocol) at which the two are compared, chosen among so many for their difference."""
    black_box: np.ndarray | None = None
    """bool [n]: broken by Square, which sees scores only, and not by a gradient attack that ran before it."""
    scores: np.ndarray | None = None
    """float32 [n, K] on the clean images."""
    scores_again: np.ndarray | None = None
    """The same images in the same batch, a second time."""
    scores_apart: np.ndarray | None = None
    """The same images in batches of other sizes and in another order, put back into place."""
    flips: np.ndarray | None = None
    """bool [n]: a change far below one grey level, in a random direction, changed the decision."""
    largest: float | None = None
    """Radius of the audit's largest ball in pixel units, its largest over the channels."""
    rounded: tuple[int, int] | None = None
    """Adversarial examples of the audit, and how many still fool the model as 8-bit pixels; without those of
    attacks that look for the decision boundary."""
    on_boundary: int = 0
    """Adversarial examples of these attacks."""
