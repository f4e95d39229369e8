"""One function for each way in which an attack can mislead.

Reports and docs/diagnosis.md show each docstring. After Athalye, Carlini and Wagner 2018 ("Obfuscated
Gradients"), Carlini et al. 2019 ("On Evaluating Adversarial Robustness"), Croce and Hein 2020 (AutoAttack).
"""

from __future__ import annotations

import numpy as np

from ..statistics import sign_test, wilson
from .observations import Observations
from .table import PIECEWISE, Finding, check

ALPHA = 0.01
"""Level of the paired tests: with about a dozen checks, a false alarm in one audit of ten at most."""


def _paired(first: np.ndarray, second: np.ndarray) -> tuple[float, int, int]:
    """How much more `second` breaks than `first`: 1 - p of the sign test, and the images only one breaks."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return 1 - sign_test(only_second, only_first), only_first, only_second


@check("no gradient")
def no_gradient(seen: Observations) -> Finding | None:
    """The audit has no gradient: an operator of the file has no gradient rule, or the gradient's graph could
    not be prepared or gives scores that differ from the file's. Only attacks that need nothing but scores
    could run. They are weaker than attacks that follow the gradient, which might break the images that
    survive. The gradient of a step function, such as Sign in a binarised network, is zero. There the attacks
    follow a straight-through estimate, besides those that need only scores. Every adversarial image is
    verified on the file, but better estimates might find more."""
    if seen.gradients_estimated is not None:
        because = f"because {seen.gradients_estimated}, and the figure an upper bound"
        return 1.0, 0.0, "suspicious", f"the gradient is a straight-through estimate, {because}"
    if seen.piecewise_constant:
        return None
    if seen.gradients_missing is None:
        return 0.0, 0.0, "suspicious", "the gradient is available"
    return 1.0, 0.0, "suspicious", f"only gradient-free attacks could run: {seen.gradients_missing}"


@check(PIECEWISE)
def piecewise_constant(seen: Observations) -> Finding | None:
    """The scores of decision trees and of nearest neighbours stay the same until a pixel crosses a threshold.
    Their gradient is zero wherever it exists, by nature and not to hide anything, so attacks that follow
    gradients do not apply. The audit uses attacks that need only scores or decisions: Square with many
    queries, and steps along the decision boundary from images of other classes. They can miss adversarial
    examples, so robust accuracy is an upper bound."""
    if not seen.piecewise_constant or seen.gradients_estimated is not None:
        return None
    meaning = (
        "the model's scores are piecewise constant, as those of decision trees are, so it has no gradient; "
        "attacks on scores and decisions ran instead, and the figure is an upper bound"
    )
    return 0.0, 0.0, "fine", meaning


@check("gradient of another function")
def gradient_of_another_function(seen: Observations) -> Finding | None:
    """The gradient comes from a graph made from the file. That graph must give the same scores as the file.
    If it does not, the gradient belongs to a different function, and attacks that follow it say nothing about
    the file. The statistic is the share of the compared images whose scores differ by more than rounding. If
    a tenth of them differ at the start of an audit, the audit does not use the gradient."""
    compared, strayed = seen.strayed
    if seen.gradients_missing is not None or not compared:
        return None
    share = strayed / compared
    meaning = f"the scores of the gradient's graph differ from the file's on {share:.1%} of the images"
    return share, 0.01, "suspicious", meaning


@check("dead gradients")
def dead_gradients(seen: Observations) -> Finding | None:
    """An attack cannot move along a gradient that is zero, or follow one that is not a number. Models that
    round or saturate, or that return a gradient of zero by design, look robust for this reason. The statistic
    is the share of all gradients computed in the audit that were zero everywhere or not finite."""
    if seen.gradients_missing is not None:
        return None
    return seen.dead, 0.01, "masked", f"{seen.dead:.1%} of the gradients were zero or not finite"


@check("single step beats iterative")
def single_step_beats_iterative(seen: Observations) -> Finding | None:
    """Many small steps search more than one large step, so they should break at least as many images. If one
    step breaks more, the gradient near the image is misleading. The statistic is the confidence of a paired
    sign test over the images that only one of the two attacks breaks."""
    if seen.single_step is None or seen.iterative is None:
        return None
    confidence, only_iterative, only_single = _paired(seen.iterative, seen.single_step)
    meaning = f"one step alone breaks {only_single} images, {only_iterative} fall to many steps alone"
    return confidence, 1 - ALPHA, "masked", meaning


@check("black box beats white box")
def black_box_beats_white_box(seen: Observations) -> Finding | None:
    """An attack that uses only scores has less information than one that uses gradients. If it breaks an
    image that the gradient attack does not, the gradient does not point to the model's weakness. The
    statistic is the share of such images among all images of the diagnosis. At least two are needed for an
    alarm."""
    if seen.black_box is None or seen.iterative is None or seen.longer is None:
        return None
    alone = int((seen.black_box & ~seen.iterative & ~seen.longer).sum())
    n = len(seen.black_box)
    meaning = f"{alone} of {n} images fall to the black-box attack alone"
    return alone / n, max(0.03, 1.5 / n), "masked", meaning


@check("survival at a huge epsilon")
def survival_at_huge_epsilon(seen: Observations) -> Finding | None:
    """In a box of half the pixel range, every image can be turned grey. Wherever the model decides otherwise
    for a grey picture, a working attack finds an adversarial example. The statistic is the lower end of the
    95 % interval of the share of these images that survive. At least two must survive for an alarm."""
    if seen.huge is None or seen.grey is None or not seen.grey.any():
        return None
    n, survived = int(seen.grey.sum()), int((seen.grey & ~seen.huge).sum())
    low = wilson(survived, n)[0] if survived > 1 else 0.0
    meaning = f"{survived} of {n} images that a grey picture breaks survive in a box of half the range"
    return low, 0.1, "masked", meaning


@check("still moving")
def still_moving(seen: Observations) -> Finding | None:
    """If twice as many steps break clearly more images, the attack had not converged and the figures are an
    upper bound. The statistic is the confidence of a paired sign test over the images that only one of the
    two attacks breaks."""
    if seen.iterative is None or seen.longer is None:
        return None
    confidence, only_shorter, only_longer = _paired(seen.iterative, seen.longer)
    left = int((~seen.iterative).sum())
    meaning = f"twice the steps break {only_longer} of the {left} images that survive"
    meaning += f", and lose {only_shorter} others" if only_shorter else ""
    return confidence, 1 - ALPHA, "suspicious", meaning


@check("larger epsilon does worse")
def larger_epsilon_does_worse(seen: Observations) -> Finding | None:
    """The larger box contains the smaller one, so an attack should break at least as many images in it. If it
    breaks clearly fewer, its steps overshoot or its gradient is misleading. The statistic is the confidence
    of a paired sign test over the images that only one of the two attacks breaks. It runs on the images that
    the smaller box breaks; on the others only if these alone would raise the alarm."""
    if seen.iterative is None or seen.wider is None:
        return None
    confidence, _, only_narrower = _paired(seen.wider, seen.iterative)
    meaning = f"doubling epsilon loses {only_narrower} of {int(seen.iterative.sum())} images"
    return confidence, 1 - ALPHA, "masked", meaning


@check("margin attack breaks more")
def margin_attack_breaks_more(seen: Observations) -> Finding | None:
    """A model that predicts labels decides for the nearest one. The attacks of Chen et al. increase the
    distance to one label in at most five steps. That distance can grow without changing the decision. An
    attack on the margin between the nearest wrong label and the true one targets the decision itself. If it
    breaks clearly more images, robustness under the paper's attacks is not robustness. The two are compared
    at the epsilon where they differ most. The statistic is the confidence of a paired sign test over the
    images that only one of the two breaks, corrected for the choice of epsilon."""
    if seen.paper is None or seen.margin is None or not len(seen.paper):
        return None  # also where the model has no image right
    epsilon, tries = seen.compared_at
    confidence = 1 - tries * (1 - _paired(seen.paper, seen.margin)[0])
    share, margin = (f"{1 - broken.mean():.1%}" for broken in (seen.paper, seen.margin))
    meaning = (
        f"{share} of {len(seen.paper)} images survive the paper's iterative method at epsilon {epsilon:.3g}, "
        f"{margin} an attack on the margin between labels"
    )
    return confidence, 1 - ALPHA, "weak", meaning


@check("unstable scores")
def unstable_scores(seen: Observations) -> Finding | None:
    """A change of a thousandth of the box in a random direction should not change decisions. If it does, the
    scores are noise at the scale at which gradients are computed. The statistic is the share of images whose
    decision changed."""
    if seen.flips is None:
        return None
    share = float(seen.flips.mean())
    return share, 0.02, "suspicious", f"{share:.1%} of the decisions change under tiny random changes"


@check("saturated output")
def saturated_output(seen: Observations) -> Finding | None:
    """If scores are probabilities that have reached exactly 0 or 1, their loss is flat in float32 and
    gradients vanish. The statistic is the share of images whose scores are all 0 or 1."""
    if seen.scores is None or seen.piecewise_constant:
        return None
    share = float((((seen.scores == 0) | (seen.scores == 1)).sum(1) >= seen.scores.shape[1] - 1).mean())
    return share, 0.05, "masked", f"{share:.1%} of the images have scores that are exactly 0 and 1"


@check("probabilities for scores")
def probabilities_for_scores(seen: Observations) -> Finding | None:
    """Behind a softmax the gradient shrinks as the model's confidence grows, until in float32 it is noise and
    then zero. Audits use the scores before the softmax, and bypass a softmax at the end of a file without a
    manifest. A softmax that remains hides the model. The statistic is the share of images whose scores are
    between 0 and 1 and sum to 1."""
    if seen.scores is None or not len(seen.scores) or seen.piecewise_constant:
        return None
    inside = ((seen.scores >= 0) & (seen.scores <= 1)).all(1)
    share = float((inside & (np.abs(seen.scores.sum(1) - 1) < 1e-3)).mean())
    meaning = f"the scores of {share:.0%} of the images lie in 0..1 and sum to 1, as behind a softmax"
    return share, 0.99, "suspicious", meaning


@check("scores that are not finite")
def scores_not_finite(seen: Observations) -> Finding | None:
    """Scores that are infinite or not a number rank no class, so neither accuracy nor survival means anything
    there. The statistic is the share of such images among the clean and changed images that were scored."""
    bad, scored = seen.not_finite
    meaning = f"{bad} of {scored} images have scores that are not finite"
    return (bad / scored, 0.0, "suspicious", meaning) if scored else None


@check("random answers")
def random_answers(seen: Observations) -> Finding | None:
    """A model that gives different answers for the same images is randomised: a single gradient says little
    about it, and figures from one pass hold for that pass only. The statistic is the largest difference
    between the scores of two passes, as a share of their range."""
    return _differ(seen.scores, seen.scores_again, "two passes over the same images", 1e-6)


@check("batch-dependent answers")
def batch_dependent_answers(seen: Observations) -> Finding | None:
    """If a model's answer for one image depends on the other images in the batch, an attacker can change
    the answer through them, and the audit's results depend on how images were batched. The statistic is
    the largest difference between scores in one batch and in batches of other sizes, as a share of their
    range."""
    return _differ(seen.scores, seen.scores_apart, "the same images in other batches", 1e-3)


def _differ(one: np.ndarray | None, other: np.ndarray | None, what: str, limit: float) -> Finding | None:
    if one is None or other is None:
        return None
    if not (finite := (np.isfinite(one) & np.isfinite(other)).all(1)).any():
        return None
    one, other = one[finite], other[finite]
    difference = float(np.abs(one - other).max() / max(float(np.ptp(one)), 1e-12))
    return difference, limit, "suspicious", f"scores of {what} differ by {difference:.1e} of their range"


@check("lost by rounding")
def lost_by_rounding(seen: Observations) -> Finding | None:
    """Images are stored with 8 bits per channel. Adversarial examples that no longer fool the model after
    rounding to 8 bits cannot be saved as images, so they matter less than their number suggests. The
    statistic is the share of the audit's adversarial examples that rounding undoes. Attacks that look for the
    smallest change leave their examples on the decision boundary, where rounding undoes about half of them
    for any model. Their examples do not count; an audit with no others is not tested."""
    if seen.rounded is None or not any((*seen.rounded, seen.on_boundary)):
        return None
    if not seen.rounded[0]:
        meaning = "not tested: the attacks look for the smallest change, and rounding says nothing about it"
        return 0.0, 0.5, "suspicious", meaning
    found, kept = seen.rounded
    meaning = f"{kept} of {found} adversarial examples still fool the model as 8-bit pixels"
    return 1 - kept / found, 0.5, "suspicious", meaning


@check("box below one pixel step")
def box_below_one_pixel_step(seen: Observations) -> Finding | None:
    """Images are stored with 8 bits per channel. In a box whose half-width is below 1/255, no stored image
    differs from the original, so survival says nothing about robustness. The statistic is the share of that
    step by which the largest half-width falls short."""
    if seen.largest is None:
        return None
    steps = 255 * seen.largest
    small = " is smaller than one 8-bit pixel step: nothing was really attacked" if steps < 0.999 else ""
    return 1 - steps, 0.001, "suspicious", f"the largest box of {steps:.3g}/255{small}"


@check("misread model")
def misread_model(seen: Observations) -> Finding | None:
    """If clean accuracy is near chance, the usual cause is wrong preprocessing (scale, channel order) or a
    wrong order of the classes, rather than a bad model. The statistic is twice chance minus the upper end of
    the accuracy's 95 % interval."""
    if seen.not_finite[0]:
        return None
    gap = min(2 / seen.classes, 0.9) - wilson(seen.clean_correct, seen.clean_total)[1]
    accuracy = seen.clean_correct / max(seen.clean_total, 1)
    hint = (
        ": probably wrong preprocessing or order of the classes (`audit inspect --data` searches)"
        if gap > 0
        else ""
    )
    return gap, 0.0, "suspicious", f"clean accuracy {accuracy:.1%}, chance {1 / seen.classes:.1%}{hint}"
