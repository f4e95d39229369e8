"""Whether attacks, a norm and epsilons that were chosen go together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast, get_args

import msgspec
import numpy as np

from ..artifacts.manifest import Input
from ..errors import VivavoceError
from ..text import suggestion
from .attacks.base import Shape
from .attacks.catalogue import ATTACKS
from .attacks.norms import NORMS, Norm
from .attacks.pasting import room_for
from .customs import EPSILONS, FREE, PIECEWISE

if TYPE_CHECKING:
    from .protocol import Protocol
    from .target import Target


def with_patches(attacks: Sequence[str]) -> bool:
    """Whether these attacks, or some of them, are patches, which have sizes instead of epsilons."""
    return any("patch" in ATTACKS[name].norms for name in attacks if name in ATTACKS)


def check_patches(name: str, norm: str | None, space: str | None, sizes: Sequence[float]) -> None:
    """Check that the options of a protocol with patches go together."""
    if name == "paper":
        raise VivavoceError("the protocol paper has no patches; give --protocol standard")
    if norm is not None or space is not None:
        raise VivavoceError("a patch has a size instead of a norm; leave out --norm and --epsilon-space")
    for size in sizes:
        if not 0 < size <= 1:
            raise VivavoceError(
                f"a patch of {100 * size:.4g}%: give more than 0% of the image, and at most 100%"
            )


def check_norm(norm: Norm, attacks: Sequence[str]) -> None:
    """Refuse attacks that do not know a norm."""
    wrong = [name for name in attacks if norm not in ATTACKS[name].norms]
    if wrong:
        know = ", ".join(name for name, attack in ATTACKS.items() if norm in attack.norms)
        raise VivavoceError(
            f"{wrong[0]} supports {' and '.join(ATTACKS[wrong[0]].norms)}, not {norm}; "
            f"give --protocol standard or one of the attacks {know}"
        )


def check_counts(epsilons: Sequence[float], space: str | None) -> None:
    """Check what l0 counts: whole pixels."""
    if space == "normalized":
        raise VivavoceError("l0 counts pixels, which no normalisation changes; leave out --epsilon-space")
    for epsilon in epsilons:
        if epsilon != round(epsilon):
            raise VivavoceError(
                f"epsilon {epsilon:g}: l0 counts changed pixels; give whole numbers, such as 24"
            )


def check_epsilons(epsilons: Sequence[float], largest: float) -> None:
    """Check that epsilons are numbers of 0 to the largest."""
    for epsilon in epsilons:
        if not 0 <= epsilon < np.inf:
            raise VivavoceError(f"epsilon must be 0 or more, not {epsilon:g}")
        if epsilon > largest:
            raise VivavoceError(f"epsilon {epsilon:g}: pixels go from 0 to 1; did you mean {epsilon:g}/255?")


def radii(protocol: Protocol, norm: Norm, epsilons: Sequence[float], space: str | None) -> tuple[float, ...]:
    """The given epsilons, checked, or those of the norm, or the protocol's own; rising."""
    in_pixels = (space or protocol.epsilon_space) == "pixel" and norm == "linf"
    check_epsilons(epsilons, 1 if in_pixels else np.inf)
    if norm == "l0":
        check_counts(epsilons, space)
    return tuple(sorted(set(epsilons or EPSILONS.get(norm, ())))) or protocol.epsilons


def check_attacks(attacks: Sequence[str]) -> None:
    """Check that these attacks exist."""
    for attack in attacks:
        if attack not in ATTACKS:
            raise VivavoceError(f"no attack {attack!r}; {suggestion(attack, ATTACKS)}")


def check_names(
    name: str, protocols: Iterable[str], attacks: Sequence[str], space: str | None, norm: str | None
) -> None:
    """Check that a protocol, its attacks, its space and its norm exist."""
    if name not in protocols:
        raise VivavoceError(f"no protocol {name!r}; {suggestion(name, protocols)}")
    check_attacks(attacks)
    if space not in (None, "pixel", "normalized"):
        raise VivavoceError(f"the epsilon space must be pixel or normalized, not {space!r}")
    if norm == "patch" or norm not in (None, *NORMS):
        raise VivavoceError(f"the norm must be linf, l2, l1 or l0, not {norm!r}")


def shaped(protocol: Protocol, norm: Norm, shape: str) -> Protocol:
    """The protocol with patches of this shape."""
    if norm != "patch":
        raise VivavoceError("--patch-shape needs an attack with patches, such as --attack patch")
    if shape not in get_args(Shape):
        raise VivavoceError(f"the patch's shape must be square or disc, not {shape!r}")
    return msgspec.structs.replace(protocol, patch_shape=cast(Shape, shape))


def check_room(protocol: Protocol, entry: Input) -> None:
    """Check that every patch has a pixel at least, and that a model's images have room for it."""
    if protocol.norm != "patch":
        return
    size = f"the model's images of {entry.height} x {entry.width} pixels"
    for epsilon in protocol.epsilons:
        if epsilon * entry.height * entry.width < 1:
            raise VivavoceError(f"a patch of {protocol.written(epsilon)} is less than one pixel of {size}")
        if not room_for(epsilon, protocol.patch_shape, entry.height, entry.width):
            patch = f"a {protocol.patch_shape} of {protocol.written(epsilon)}"
            raise VivavoceError(f"{patch} is larger than {size}; give a smaller --patch-size")


def check_smallest(attacks: Sequence[str], as_released: bool) -> None:
    """Check that no attack is chosen besides the search for the smallest change."""
    if attacks or as_released:
        raise VivavoceError("--smallest has an attack of its own; leave out --attack and --as-released")


def without_gradient(protocol: Protocol, attacks: tuple[str, ...], target: Target) -> tuple[str, ...]:
    """The attacks of a protocol that remain without a gradient, or what replaces them.

    Raises:
        VivavoceError: the model has no gradient, and no search for the smallest change in this norm does
            without one.
    """
    if any(ATTACKS[name].minimal for name in attacks):
        return _smallest_without_gradient(protocol.norm, target.gradient_missing)
    if target.piecewise_constant and protocol.norm in ("linf", "l2") and not protocol.settled:
        return PIECEWISE
    left = tuple(name for name in attacks if not ATTACKS[name].needs_gradient) or FREE[protocol.norm]
    whole = protocol.name == "fast" and not protocol.settled
    return tuple("square" if whole and name == "square-300" else name for name in left)


def _smallest_without_gradient(norm: Norm, missing: str | None) -> tuple[str, ...]:
    if norm in ATTACKS["boundary-minimum"].norms:
        return ("boundary-minimum",)
    if missing is None:
        return ()
    raise VivavoceError(
        f"--smallest in {norm} needs a gradient, which is missing ({missing}); use linf or l2"
    )
