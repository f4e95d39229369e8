"""Pairs two reports: the same rows on the same images, or an error that says what differs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from ...errors import VivavoceError
from ..attacks.catalogue import ATTACKS
from ..natural.heat import Line, lines, mean_accuracy
from ..natural.shift import SHIFTED
from ..protocol import Protocol, counts
from ..report import Report, Row, unpack_bits
from ..sensitivity import steps_survived
from ..writing.table import row_title

SMALLEST = "smallest-epsilon"
"""The row about all epsilons at once. Its share is the mean share of the epsilons that an image survives;
the clean image counts as the first."""


@dataclass(frozen=True)
class Vector:
    """One figure of a report, image by image."""

    name: str
    """Short name, for options: `clean`, `fgsm-targeted@0.1/threshold`."""
    title: str
    """The same in words."""
    values: np.ndarray
    """bool [n], or int64 [n] in 0..`steps`; larger is better."""
    epsilon_pixels: tuple[float, ...] = ()
    steps: int = 1
    protocol: str = ""
    """Under which it was measured; empty for the clean images."""

    @property
    def share(self) -> float:
        """The mean, in 0..1."""
        return float(self.values.mean()) / self.steps


def vectors(report: Report) -> dict[str, Vector]:
    """Every figure of a report by its short name. Rows at epsilon 0 are the clean figures, and left out.

    Raises:
        VivavoceError: the outcomes of single images are missing or damaged.
    """
    try:
        return {vector.name: vector for vector in _vectors(report)}
    except ValueError as error:
        raise VivavoceError(
            f"the report of {report.model.file} is damaged or was edited ({error}); run the audit again"
        ) from error


def _vectors(report: Report) -> Iterator[Vector]:
    images, n, protocol = report.images, report.data.n, report.protocol
    if len(images) != n:
        raise ValueError(f"{len(images)} images, not {n}")
    if [(row.attack, row.targeted, row.epsilon) for row in report.rows] != list(protocol.grid()):
        raise ValueError("its rows are not those of its protocol")
    yield Vector("clean", "clean accuracy", np.array([i.clean == i.label for i in images], bool))
    if report.clean.near is not None:
        near = unpack_bits(report.clean.near, n)
        yield Vector("clean/threshold", "clean, within the threshold", near)
    if protocol.natural:
        yield from _natural_vectors(report)
        return
    for row in report.rows:
        if row.epsilon > 0:
            yield from _row_vectors(row, protocol, n)
    attacks = {(row.attack, row.targeted) for row in report.rows if counts(row.attack)}
    if len(attacks) > 1 and not protocol.ensemble:
        robust = np.array([i.robust for i in images], bool)
        yield Vector("robust", f"all attacks, {protocol.in_words(protocol.epsilons[-1])}", robust)
    steps = sum(epsilon > 0 for epsilon in protocol.epsilons)
    if protocol.ensemble and steps > 1:
        # One step for the clean image, and one for every epsilon that it survives.
        survived = steps_survived(report) + 1
        yield Vector(SMALLEST, "smallest epsilon that breaks an image", survived, steps=steps + 1)


def _natural_vectors(report: Report) -> Iterator[Vector]:
    """A figure for each kind of change over its severities, and one for all kinds together."""
    found, n = lines(report.rows), report.data.n
    if len(found) > 1 and any(line.kind != SHIFTED for line in found):
        mean = mean_accuracy(report.rows, n)
        yield _summed("natural", mean.of, [line for line in found if line.kind in mean.kinds], n)
    for line in found:
        title = f"{line.kind}, mean over severities" if len(line.rows) > 1 else line.kind
        yield _summed(line.kind, title, [line], n)


def _summed(name: str, title: str, lines: list[Line], n: int) -> Vector:
    """How often each image is right; kinds with fewer severities count as much as others."""
    whole = math.lcm(*(len(line.rows) for line in lines))
    values = np.zeros(n, np.int64)
    for line in lines:
        for row in line.rows.values():
            values += unpack_bits(row.survivors, n) * (whole // len(line.rows))
    return Vector(name, title, values, steps=whole * len(lines))


def _row_vectors(row: Row, protocol: Protocol, n: int) -> Iterator[Vector]:
    name = row_name(row, protocol)
    words = row_title(row, protocol)
    yield Vector(name, words, unpack_bits(row.survivors, n), row.epsilon_pixels)
    if row.survivors_threshold is not None:
        near = unpack_bits(row.survivors_threshold, n)
        yield Vector(f"{name}/threshold", f"{words}, within the threshold", near, row.epsilon_pixels)


def row_name(row: Row, protocol: Protocol) -> str:
    """The short name of a row: `fgsm-targeted@0.1`, `pgd@8/255`."""
    return f"{row.attack}{'-targeted' if row.targeted else ''}@{protocol.written(row.epsilon)}"


def gradient_lost(before: Report, after: Report) -> bool:
    """Whether the protocol could run with gradients before, and no longer can."""
    free = {name for name, attack in ATTACKS.items() if not attack.needs_gradient}
    return not free.issuperset(before.protocol.attacks) and free.issuperset(after.protocol.attacks)


def refuse_mismatch(before: Report, after: Report) -> None:
    """Refuse two reports that are not about the same images under the same protocol.

    Raises:
        VivavoceError: they are not; the message says what differs.
    """
    found = list(_differences(before, after))
    if found:
        raise VivavoceError(
            f"{after.model.file} cannot be compared with {before.model.file}: {'; '.join(found)}"
        )


def _differences(before: Report, after: Report) -> Iterator[str]:
    yield from class_differences(before.model.manifest.classes, after.model.manifest.classes)
    shifts = [report.data.shifted and report.data.shifted.digest for report in (before, after)]
    if shifts[0] != shifts[1]:
        yield "the shifted images differ"
    if before.data.digest != after.data.digest:
        told = "; ".join(f"{r.data.name}, {r.data.sample}" for r in (before, after))
        yield f"the data differ ({told})"
    pair = [msgspec.structs.asdict(r.protocol) | {"std": None, "settled": True} for r in (before, after)]
    for report, conduct in zip((before, after), pair, strict=True):
        conduct |= {"seed": report.environment.seed}
        chosen = [image.target for image in report.images if image.target is not None]
        conduct["targets"] = f"{len(chosen)} chosen, {hash(tuple(chosen)):x}" if chosen else "drawn"
    if gradient_lost(before, after):
        del pair[0]["attacks"], pair[1]["attacks"]
    for name in pair[0]:
        if name != "name" and pair[0][name] != pair[1][name]:
            told = "; ".join(_listed(conduct[name]) for conduct in pair)
            yield f"the protocols differ ({name.replace('_', ' ')}: {told})"
    if pair[0] | {"name": 0} == pair[1] | {"name": 0} and not _same_boxes(before, after):
        yield "equal epsilons are different boxes in pixels; give the models, to attack both in the same box"


def _listed(value: object) -> str:
    if not isinstance(value, tuple):
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    shown = ", ".join(_listed(v) for v in value[:8])
    return shown + (", …" if len(value) > 8 else "")


def _same_boxes(before: Report, after: Report) -> bool:
    boxes = {(r.attack, r.targeted, r.epsilon): r.epsilon_pixels for r in before.rows}
    for row in after.rows:
        old = boxes.get((row.attack, row.targeted, row.epsilon), row.epsilon_pixels)
        if len(old) != len(row.epsilon_pixels) or not np.allclose(old, row.epsilon_pixels, rtol=1e-5):
            return False
    return True


def class_differences(before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[str]:
    """How two models' classes differ, in words; nothing if they do not."""
    if len(before) != len(after):
        yield f"{len(after)} classes instead of {len(before)}"
    elif before != after:
        k = next(k for k, names in enumerate(zip(before, after, strict=True)) if names[0] != names[1])
        what = "in a different order" if sorted(before) == sorted(after) else "with different names"
        yield f"classes {what} (class {k} is {after[k]!r} instead of {before[k]!r})"
