"""Two reports of the same protocols, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import VivavoceError
from ..report import Report
from .changes import same_threshold
from .pairing import Vector, gradient_lost, refuse_mismatch, row_name, vectors

Sides = Sequence[tuple[Report, Report]]
"""The reports before and after, of each protocol."""
CLEAN = ("clean", "clean/threshold")
"""Names of figures that need no attack."""


def matched(before: Report, after: Report) -> Sides:
    """The reports of each protocol.

    Raises:
        VivavoceError: images or protocols differ.
    """
    old, new = before.parts, after.parts
    if len(old) > 1 or len(new) > 1:
        found = {part.protocol.name: part for part in new}
        if found.keys() != {part.protocol.name for part in old}:
            told = "; ".join(", ".join(p.protocol.name for p in parts) for parts in (old, new))
            files = f"{after.model.file} cannot be compared with {before.model.file}"
            raise VivavoceError(f"{files}: the protocols differ ({told})")
        new = [found[part.protocol.name] for part in old]
    sides = list(zip(old, new, strict=True))
    for pair in sides:
        refuse_mismatch(*pair)
    return sides


def figures(sides: Sides) -> list[tuple[Vector, Vector]]:
    """Every figure that both sides have, with its protocol in its name if there are several.

    The clean figures are of the first protocol, unless others have different images.

    Raises:
        VivavoceError: a report is damaged.
    """
    found = []
    for place, (old, new) in enumerate(sides):
        after = vectors(new)
        known = place and old.data.digest == sides[0][0].data.digest
        for name, vector in vectors(old).items():
            clean = name in CLEAN
            comparable = clean or not gradient_lost(old, new)
            if name.endswith("/threshold"):
                comparable &= same_threshold(old, new)
            if name in after and comparable and not (clean and known):
                label = old.protocol.name if len(sides) > 1 and (place or not clean) else ""
                protocol = "" if clean else old.protocol.name
                found.append(tuple(_named(v, label, protocol) for v in (vector, after[name])))
    return found


def _named(vector: Vector, label: str, protocol: str) -> Vector:
    if not label:
        return replace(vector, protocol=protocol)
    return replace(vector, name=f"{label}:{vector.name}", title=f"{label}: {vector.title}", protocol=protocol)


def names_of(sides: Sides) -> list[str]:
    """The names of all figures of the first side, compared or not."""
    return [vector.name for vector, _ in figures([(old, old) for old, _ in sides])]


def verdict(report: Report) -> str:
    """The verdicts of all protocols in one line."""
    if not report.further:
        return report.verdict
    return "; ".join(f"{part.protocol.name}: {part.verdict}" for part in report.parts)


def seconds_of(report: Report) -> dict[str, float]:
    """How long each row took, by its name in a comparison."""
    several = len(report.parts) > 1
    return {
        f"{part.protocol.name}:{name}" if several else name: row.seconds
        for part in report.parts
        for row in part.rows
        for name in [row_name(row, part.protocol)]
    }
