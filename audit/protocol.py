"""Which attacks at which epsilons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, cast

import msgspec
import numpy as np

from ..artifacts.manifest import Input, Manifest
from ..errors import VivavoceError
from ..images.sizes import GREY_LEVELS, in_grey_levels, short_size
from .attacks.base import Ball, Shape
from .attacks.catalogue import ATTACKS
from .attacks.norms import Norm
from .attacks.universal import Universal
from .choices import (
    check_attacks,
    check_names,
    check_norm,
    check_patches,
    check_room,
    check_smallest,
    radii,
    shaped,
    with_patches,
    without_gradient,
)
from .customs import COUNTED, GRIDS, SMALLEST, STANDARD
from .natural.choice import refuse_attacks, refuse_kinds, with_kinds
from .natural.kinds import KINDS

if TYPE_CHECKING:
    from .target import Target

Space = Literal["pixel", "normalized", "severity"]


class Protocol(msgspec.Struct, frozen=True):
    """Attacks, the grid of epsilons, and the units they are in."""

    name: str
    attacks: tuple[str, ...]
    epsilons: tuple[float, ...]
    """Radii of the ball, rising."""
    epsilon_space: Space
    """`pixel`: units of 0..1. `normalized`: after the model's own normalisation, so a channel's
    half-width in pixels is epsilon times its standard deviation. `severity`: no ball; the attacks are
    kinds of change without an adversary, and epsilons their severities."""
    targeted: tuple[bool, ...] = (False,)
    ensemble: bool = False
    """Each attack runs only on the images that survived the ones before it, and smaller epsilons."""
    norm: Norm = "linf"
    std: tuple[float, ...] | None = None
    """Standard deviation per channel that normalised epsilons are in units of; None: the model's own.
    A check sets it, so that a new file is attacked in the box of the old one."""
    patch_shape: Shape = "square"
    settled: bool = False
    """The attacks were chosen by name or fitted to a model before: `fitted` adds none."""

    @property
    def natural(self) -> bool:
        """Whether it has changes without an adversary."""
        return self.epsilon_space == "severity"

    def described(self, entry: Input) -> str:
        """Attacks and largest epsilon in words, for a model with this input."""
        attacks = [name for name in self.attacks if counts(name)]
        joined = " and ".join(filter(None, (", ".join(attacks[:-1]), attacks[-1])))
        if self.norm == "patch":
            return f"{joined} of {self.written(self.epsilons[-1])} of the image ({self.patch_shape})"
        units = self.norm if self.norm in COUNTED else f"{self.norm}, {self.epsilon_space}"
        if self.epsilon_space == "normalized" and self.norm == "linf":
            units += f", {in_grey_levels(self.ball(self.epsilons[-1], entry).widths)} in pixels"
        return f"{joined} at {self.in_words(self.epsilons[-1])} ({units})"

    @property
    def axis(self) -> str:
        """What epsilons are, for axes."""
        if self.norm in COUNTED:
            return COUNTED[self.norm]
        norm = "" if self.norm == "linf" else f"{self.norm}, "
        return f"epsilon ({norm}{self.epsilon_space})"

    def in_words(self, epsilon: float) -> str:
        """An epsilon with its name: `epsilon 8/255`, `24 pixels`, `a patch of 5%`."""
        written = self.written(epsilon)
        if self.natural:
            return f"severity {written}"
        named = {"l0": f"{written} pixels", "patch": f"a patch of {written}"}
        return named.get(self.norm, f"epsilon {written}")

    def written(self, epsilon: float) -> str:
        """An epsilon as text: as n/255 where it is one, in units of pixels."""
        if self.natural:
            return f"{epsilon:g}"
        if self.norm == "patch":
            return f"{100 * epsilon:.4g}%"
        in_pixels = self.epsilon_space == "pixel" and self.norm == "linf"
        return short_size(epsilon) if in_pixels else f"{epsilon:.4g}"

    def measured(self, size: float) -> str:
        """The size of a change in units of epsilon, as text."""
        if np.isinf(size):
            return "none found"
        in_pixels = self.epsilon_space == "pixel" and self.norm == "linf"
        return f"{GREY_LEVELS * size:.3g}/255" if in_pixels else f"{size:.4g}"

    def scaled(self, epsilon: float, factor: float) -> float:
        """A multiple of an epsilon that is one too."""
        if self.norm == "l0":
            return max(round(factor * epsilon), 1)
        return min(factor * epsilon, 1) if self.norm == "patch" else factor * epsilon

    def fitted(self, target: Target) -> Protocol:
        """Adapt the protocol to one model; nothing else changes a protocol.

        Label models get an attack on the decision's margin beside the paper's own, unless attacks were
        chosen by name. Without a gradient only the attacks that need none are left, or else Square, with many
        queries in `fast` too. Models whose scores are piecewise constant get the attacks made for those.
        Where the gradient is an estimate or vanishes, all of these run besides the attacks that follow it.

        Raises:
            VivavoceError: an attack is unknown, which can come from another version's report; or a patch
                does not fit into the model's images.
        """
        check_attacks(self.attacks)
        if self.natural:
            return msgspec.structs.replace(self, settled=True)
        attacks = self.attacks
        if target.model.manifest.label and self.name == "paper" and not self.settled:
            attacks = tuple(dict.fromkeys((*attacks, "margin")))
        check_room(self, target.model.manifest.input)
        if target.gradient_missing is not None:
            attacks = without_gradient(self, attacks, target)
        elif (target.estimated is not None or target.flat) and (
            not self.settled or any(ATTACKS[a].minimal for a in attacks)
        ):
            led = (a for a in attacks if ATTACKS[a].needs_gradient)
            attacks = tuple(dict.fromkeys((*led, *without_gradient(self, attacks, target))))
        return msgspec.structs.replace(self, attacks=attacks, settled=True)

    def grid(self) -> Iterator[tuple[str, bool, float]]:
        """Every row of a report: attack, whether it is targeted, epsilon."""
        for attack in self.attacks:
            for targeted in self.targeted:
                if targeted and False in self.targeted and not takes_target(attack):
                    continue
                for epsilon in self.epsilons:
                    if not self.natural or epsilon in severities_of(attack):
                        yield attack, targeted, epsilon

    def ball(self, epsilon: float, entry: Input) -> Ball:
        """The ball of one epsilon, in pixel units; for changes without one, the radius is the severity."""
        if self.natural:
            return Ball("linf", np.full((1, 1, 1), epsilon, np.float32))
        normalized = self.epsilon_space == "normalized"
        std = np.array((self.std or entry.std) if normalized else (1.0,) * entry.channels, np.float64)
        if self.norm == "linf":
            return Ball("linf", (epsilon * std).astype(np.float32).reshape(-1, 1, 1))
        return Ball(self.norm, np.full((1, 1, 1), epsilon * std.mean(), np.float32), self.patch_shape)


PROTOCOLS = {
    # Chen et al. 2021, section 4.2: epsilon 0 to 0.3 by 0.05 on normalised images, 5 steps.
    "paper": Protocol(
        "paper",
        ("fgsm", "iterative"),
        (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
        "normalized",
        targeted=(False, True),
    ),
    # Croce and Hein 2020 (AutoAttack, standard version).
    "standard": Protocol(
        "standard", ("apgd-ce", "apgd-t", "fab-t", "square"), (8 / 255,), "pixel", ensemble=True
    ),
    # Xie et al. 2024 and Melamed et al. 2024: what AutoAttack finds, with a tenth of its work.
    "fast": Protocol("fast", ("apgd-pm", "apgd-malt", "square-300"), (8 / 255,), "pixel", ensemble=True),
    # Minutes instead of hours, for continuous integration.
    "quick": Protocol(
        "quick", ("pgd", "square-300"), (1 / 255, 2 / 255, 4 / 255, 8 / 255), "pixel", ensemble=True
    ),
    # Hendrycks and Dietterich 2019, Engstrom et al. 2019, and what cameras and programs do.
    "natural": Protocol("natural", tuple(KINDS), (1.0, 2.0, 3.0, 4.0, 5.0), "severity"),
}


def resolve(
    name: str,
    attacks: Sequence[str] = (),
    epsilons: Sequence[float] = (),
    space: str | None = None,
    norm: str | None = None,
    as_released: bool = False,
    targeted: bool = False,
    severities: Sequence[int] = (),
    patch_shape: str | None = None,
    smallest: bool = False,
) -> Protocol:
    """The protocol called `name`, with attacks, epsilons, their space and the norm replaced where given.

    Args:
        name: `paper`, `standard`, `fast`, `quick` or `natural`.
        attacks: names in `ATTACKS`; for `natural`, those in `KINDS`.
        epsilons: radii.
        space: `pixel` or `normalized`.
        norm: `linf`, `l2`, `l1` or `l0`.
        as_released: also run the released code's variants of the paper's attacks.
        targeted: only targeted attacks, on targets that the user gives.
        severities: for `natural`, instead of 1 to 5.
        patch_shape: `square` or `disc`, for attacks with patches, whose epsilons are shares of the image.
        smallest: look for the smallest change of each image, whatever the epsilons.

    Raises:
        VivavoceError: a name is unknown, an epsilon is negative or not a number, or two options conflict.
    """
    check_names(name, PROTOCOLS, attacks, space, norm)
    protocol = PROTOCOLS[name]
    if protocol.natural:
        refuse_attacks(
            bool(epsilons or space or norm or as_released or targeted), bool(patch_shape or smallest)
        )
        return with_kinds(protocol, attacks, severities)
    refuse_kinds(attacks, severities)
    measure = cast(Norm, norm or protocol.norm)
    if with_patches(attacks):
        check_patches(name, norm, space, epsilons)
        measure, protocol = "patch", msgspec.structs.replace(protocol, ensemble=False)
    if patch_shape is not None:
        protocol = shaped(protocol, measure, patch_shape)
    if measure in STANDARD and name in ("standard", "fast"):
        protocol = msgspec.structs.replace(protocol, attacks=STANDARD[measure])
    if smallest:
        check_smallest(attacks, as_released)
        attacks = SMALLEST.get(measure, ("fmn",))
        protocol = msgspec.structs.replace(protocol, ensemble=False, targeted=(False,))
        epsilons = epsilons or (GRIDS[measure] if protocol.epsilon_space == "pixel" else ())
    protocol = msgspec.structs.replace(
        protocol,
        epsilons=radii(protocol, measure, epsilons, space),
        epsilon_space=space or protocol.epsilon_space,
        norm=measure,
    )
    return _with_attacks(protocol, attacks, as_released, targeted)


def _with_attacks(protocol: Protocol, attacks: Sequence[str], as_released: bool, targeted: bool) -> Protocol:
    """A protocol with the attacks that were chosen, if any."""
    if targeted and (fixed := [a for a in attacks if isinstance(ATTACKS[a], Universal)]):
        raise VivavoceError(f"{fixed[0]} has one pattern for all images, so it takes no --targets")
    check_norm(protocol.norm, attacks or protocol.attacks)
    if as_released and protocol.name != "paper":
        raise VivavoceError("--as-released needs --protocol paper")
    chosen = tuple(dict.fromkeys(attacks)) or protocol.attacks
    if as_released:
        chosen += tuple(f"{attack}-released" for attack in chosen if f"{attack}-released" in ATTACKS)
    return msgspec.structs.replace(
        protocol,
        attacks=chosen,
        targeted=(True,) if targeted else protocol.targeted,
        settled=bool(attacks) or as_released,
    )


def default(
    manifest: Manifest, norm: str | None = None, attacks: Sequence[str] = (), smallest: bool = False
) -> Protocol:
    """The paper's protocol for models that vivavoce trained, where it knows the norm; else AutoAttack's."""
    known = norm in (None, "linf") and not with_patches(attacks) and not smallest
    return PROTOCOLS["paper" if manifest.training and known else "standard"]


def counts(attack: str) -> bool:
    """Whether the results of this attack count in verdicts; those of an unknown attack do."""
    return attack not in ATTACKS or ATTACKS[attack].counts


def severities_of(attack: str) -> tuple[int, ...]:
    """The severities of a change without an adversary; empty for other attacks."""
    return ATTACKS[attack].severities if attack in ATTACKS else ()


def takes_target(attack: str) -> bool:
    """Whether a target class changes what the attack of this name does; see `Attack`."""
    return attack not in ATTACKS or ATTACKS[attack].takes_target


def target_classes(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """A target class for every image of a data set, never the true one: int64 [N].

    Drawn for the whole set from the seed alone, so every model and every subset meets the same.
    """
    offsets = np.random.default_rng(seed).integers(1, classes, len(labels))
    return (labels + offsets) % classes
