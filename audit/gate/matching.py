"""Two reports of the same protocols, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from ...errors import VivavoceError
from ..report import Report, pack_bits, unpack_bits
from ..statistics import wilson
from .changes import same_threshold
from .pairing import Vector, gradient_lost, refuse_mismatch, row_name, vectors

CLEAN = ("clean", "clean/threshold")
"""Names of figures that need no attack."""


@dataclass(frozen=True)
class Side:
    """One protocol of a comparison."""

    label: str
    """Its name, where there are several protocols; else empty."""
    clean: str | None
    """The label of its clean figures; None: those of the first protocol are the same."""
    whole: Report
    """The baseline."""
    before: Report
    """The baseline of the images that the new model was attacked on: of all, unless the check ended early."""
    after: Report


def matched(before: Report, after: Report, ended: bool = False) -> list[Side]:
    """The reports of each protocol.

    Args:
        before: the baseline.
        after: the new report.
        ended: whether it may have ended early, on some of the baseline's images.

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
    sides = sides_of(before, new)
    if ended:
        sides = [replace(side, before=part_of(side.whole, side.after)) for side in sides]
    for side in sides:
        refuse_mismatch(side.before, side.after)
    return sides


def sides_of(baseline: Report, new: Sequence[Report] | None = None) -> list[Side]:
    """A baseline's protocols with the new reports, or with themselves."""
    parts = list(baseline.parts)
    found: list[Side] = []
    for place, (old, after) in enumerate(zip(parts, new or parts, strict=True)):
        label = old.protocol.name if len(parts) > 1 else ""
        known = place and old.data.digest == parts[0].data.digest
        found.append(Side(label, None if known else label if place else "", old, old, after))
    return found


def figures(sides: Sequence[Side]) -> list[tuple[Vector, Vector]]:
    """Every figure that both reports have, with its protocol in its name if there are several.

    Raises:
        VivavoceError: a report is damaged.
    """
    found = []
    for side in sides:
        after = vectors(side.after)
        for name, vector in vectors(side.before).items():
            clean = name in CLEAN
            label = side.clean if clean else side.label
            comparable = clean or not gradient_lost(side.before, side.after)
            if name.endswith("/threshold"):
                comparable &= same_threshold(side.before, side.after)
            if name in after and comparable and label is not None:
                protocol = "" if clean else side.whole.protocol.name
                found.append(tuple(_named(v, label, protocol) for v in (vector, after[name])))
    return found


def _named(vector: Vector, label: str, protocol: str) -> Vector:
    if not label:
        return replace(vector, protocol=protocol)
    name, title = f"{label}:{vector.name}", f"{label}: {vector.title}"
    return replace(vector, name=name, title=title, protocol=protocol)


def names_of(baseline: Report) -> list[str]:
    """The names of all figures of a baseline, compared or not.

    Raises:
        VivavoceError: it is damaged.
    """
    return [vector.name for vector, _ in figures(sides_of(baseline))]


def part_of(report: Report, later: Report) -> Report:
    """The outcomes of a report on those of its images that a later one has.

    Survivors, accuracies and single images are of these; other figures stay those of all images.
    """
    if later.data.n == report.data.n:
        return report
    wanted = {(image.file, image.index) for image in later.images}
    places = np.array([(image.file, image.index) in wanted for image in report.images]).nonzero()[0]
    images = tuple(report.images[place] for place in places)
    n, kept = report.data.n, len(places)

    def bits(text: str | None) -> str | None:
        return None if text is None else pack_bits(unpack_bits(text, n)[places])

    rows = []
    for row in report.rows:
        standing = unpack_bits(row.survivors, n)[places]
        figures = {"accuracy": float(standing.mean()), "interval": wilson(int(standing.sum()), kept)}
        near = bits(row.survivors_threshold)
        rows.append(
            msgspec.structs.replace(row, survivors=pack_bits(standing), survivors_threshold=near, **figures)
        )
    right = sum(image.clean == image.label for image in images)
    clean = msgspec.structs.replace(
        report.clean, accuracy=right / kept, interval=wilson(right, kept), near=bits(report.clean.near)
    )
    return msgspec.structs.replace(report, data=later.data, clean=clean, rows=tuple(rows), images=images)


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
