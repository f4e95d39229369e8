"""Which kinds of change, at which severities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ...errors import VivavoceError
from ...text import suggestion
from .kinds import KINDS

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
    for kind in kinds:
        if kind not in KINDS:
            raise VivavoceError(f"{kind} is not a change of --protocol natural; {suggestion(kind, KINDS)}")
        if chosen and not set(chosen) & set(KINDS[kind].severities):
            listed = ", ".join(map(str, KINDS[kind].severities))
            raise VivavoceError(f"{kind} has no severity {', '.join(map(str, chosen))}; it has {listed}")
    wanted = tuple(float(severity) for severity in sorted(set(chosen))) or protocol.epsilons
    names = tuple(dict.fromkeys(kinds)) or protocol.attacks
    having = [name for name in names if set(KINDS[name].severities) & set(wanted)]
    used = {severity for name in having for severity in KINDS[name].severities}
    return msgspec.structs.replace(
        protocol,
        attacks=tuple(having),
        epsilons=tuple(severity for severity in wanted if severity in used),
        settled=True,
    )


def refuse_kinds(attacks: Sequence[str], severities: Sequence[int]) -> None:
    """Refuse what only the protocol `natural` has.

    Raises:
        VivavoceError: there is some of it.
    """
    if found := next((attack for attack in attacks if attack in KINDS), None):
        raise VivavoceError(f"{found} is a change without an attack; give --protocol natural")
    if severities:
        raise VivavoceError("--severity needs --protocol natural")
