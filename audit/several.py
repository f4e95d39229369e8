"""One model under several protocols, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..artifacts import ExportedModel
from ..errors import VivavoceError
from .plan import Settings, protocol_of
from .protocol import Protocol
from .report import check_distinct, joined
from .run import Audit, Progress, check_settings, robustness


def audit_all(
    model: ExportedModel,
    settings: Settings,
    protocols: Sequence[Protocol],
    progress: Progress,
    left: Callable[[float], None] = lambda seconds: None,
) -> list[Audit]:
    """Audit a model under every protocol.

    Args:
        model: opened.
        settings: what all audits have in common.
        protocols: at least one.
        progress: as for `robustness`.
        left: likewise, about the audit that is running.

    Raises:
        VivavoceError: as `robustness`.
    """
    each = [replace(settings, protocol=protocol) for protocol in protocols]
    for one in each:  # before the first of them starts
        check_settings(one)
        protocol_of(one, model)
    return [robustness(model, one, progress, left=left) for one in each]


def whole(audits: Sequence[Audit]) -> Audit:
    """The audits of one model as one: the first, with the reports of the others in its report."""
    return replace(audits[0], report=joined([audit.report for audit in audits]))


def check_protocols(names: Sequence[str], **alone: object) -> None:
    """Refuse a protocol that is given twice, and options that belong to a single one.

    Args:
        names: as given to `--protocol`.
        alone: those options by name; None: not given.

    Raises:
        VivavoceError: the message names the option.
    """
    check_distinct(names)
    given = [name.replace("_", "-") for name, value in alone.items() if value is not None]
    if len(names) > 1 and given:
        raise VivavoceError(f"--{given[0]} needs a single --protocol, not {' and '.join(names)}")
