"""Which kinds of change, at which severities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ...errors import VivavoceError
from ...text import suggestion
from .kinds import KINDS
from .shift import SHIFTED, Shifted

if TYPE_CHECKING:
    from ..protocol import Protocol


def with_kinds(protocol: Protocol, kinds: Sequence[str], chosen: Sequence[int]) -> Protocol:
    """A protocol of changes, with kinds and severities replaced where given.

    Raises:
        VivavoceError: a kind or severity does not exist.
    """
    for severity in chosen:
        if severity not in protocol.epsilons:
            raise VivavoceError(f"no severity {severity}; they go from 1 (mild) to 5 (severe)")
    known = KINDS | {SHIFTED: Shifted()}
    for kind in kinds:
        if kind not in known:
            raise VivavoceError(f"{kind} is not a change of --protocol natural; {suggestion(kind, KINDS)}")
        if chosen and not set(chosen) & set(known[kind].severities):
            listed = ", ".join(map(str, known[kind].severities))
            raise VivavoceError(f"{kind} has no severity {', '.join(map(str, chosen))}; it has {listed}")
    wanted = tuple(float(severity) for severity in sorted(set(chosen))) or protocol.epsilons
    names = tuple(dict.fromkeys(kinds)) or protocol.attacks
    having = [name for name in names if set(known[name].severities) & set(wanted)]
    used = {severity for name in having for severity in known[name].severities}
    return msgspec.structs.replace(
        protocol,
        attacks=tuple(having),
        epsilons=tuple(severity for severity in wanted if severity in used),
        settled=True,
    )


def refuse_attacks(balls: bool, patches: bool) -> None:
    """Refuse what only attacks have.

    Args:
        balls: whether an epsilon, its space, a norm, targets or the released variants were asked for.
        patches: whether the shape of patches or the smallest change was.

    Raises:
        VivavoceError: either was.
    """
    if balls:
        raise VivavoceError(
            "--protocol natural has no attacks in a ball: it takes --attack (kinds of change) and "
            "--severity, but no epsilon, epsilon space, norm or targets"
        )
    if patches:
        raise VivavoceError("--protocol natural has no patches and no --smallest")


def refuse_kinds(attacks: Sequence[str], severities: Sequence[int]) -> None:
    """Refuse what only the protocol `natural` has.

    Raises:
        VivavoceError: there is some of it.
    """
    if found := next((attack for attack in attacks if attack in KINDS or attack == SHIFTED), None):
        raise VivavoceError(f"{found} is a change without an attack; give --protocol natural")
    if severities:
        raise VivavoceError("--severity needs --protocol natural")


def with_shift(protocol: Protocol | None, natural: Protocol) -> Protocol:
    """The protocol of an audit that compares two sets of images.

    Args:
        protocol: what was asked for; None: nothing but the comparison.
        natural: the protocol `natural` as it is by itself.

    Raises:
        VivavoceError: the protocol has attacks.
    """
    if protocol is None:
        return with_kinds(natural, [SHIFTED], ())
    if not protocol.natural:
        raise VivavoceError(
            "--shifted compares two sets of images; give --protocol natural with it, or no protocol"
        )
    if SHIFTED in protocol.attacks:
        return protocol
    severities = sorted({1.0, *protocol.epsilons})
    return msgspec.structs.replace(
        protocol, attacks=(*protocol.attacks, SHIFTED), epsilons=tuple(severities), settled=True
    )
