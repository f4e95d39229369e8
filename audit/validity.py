"""Whether the parts of a report are consistent, beyond their types."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .attacks.catalogue import ATTACKS
from .protocol import Protocol, severities_of
from .report import Report, unpack_bits
from .statistics import wilson

ROUNDING = 1e-6
"""How far a figure may be from the one that follows from the images."""


def faults(report: Report) -> Iterator[str]:
    """What is inconsistent in a damaged or edited report, in words; empty if nothing is."""
    parts = report.parts
    if len({part.protocol.name for part in parts}) < len(parts):
        yield "two reports of one protocol"
    if len({part.model.sha256 for part in parts}) > 1:
        yield "reports of different models"
    if any(part.further for part in parts):
        yield "a further report that has further ones"
    for part in parts:
        yield from _faults(part)


def _faults(report: Report) -> Iterator[str]:
    """What is inconsistent in the report of one protocol."""
    images, data, classes = report.images, report.data, len(report.model.manifest.classes)
    if not len(images) == data.n >= 1:
        yield f"{len(images)} images, not {data.n}"
    if not data.n <= (data.planned or data.n) <= data.total:
        yield f"{data.n} images of {data.planned or data.n} of {data.total}"
    if not all(0 <= image.label < classes and -1 <= image.clean < classes for image in images):
        yield "an image of no class"
    targets = [image.target for image in images if image.target is not None]
    if targets and not (len(targets) == len(images) and all(0 <= target < classes for target in targets)):
        yield "targets that are no classes, or not of every image"
    if not 0 <= report.environment.seed < 2**63:
        yield f"seed {report.environment.seed}"
    if report.model.size is not None and report.model.size <= 0:
        yield f"a model of {report.model.size} bytes"
    speed = report.speed
    if speed is not None and not (speed.milliseconds > 0 and speed.reference > 0):
        yield "a speed that is not positive"
    yield from _protocol_faults(report.protocol, report.model.manifest.input.channels)
    if [(row.attack, row.targeted, row.epsilon) for row in report.rows] != list(report.protocol.grid()):
        yield "its rows are not those of its protocol"
    for row in report.rows:
        box = report.protocol.ball(row.epsilon, report.model.manifest.input).radius.ravel()
        if len(row.epsilon_pixels) != len(box) or not np.allclose(row.epsilon_pixels, box, rtol=1e-5):
            yield f"half-widths in pixels that are not those of epsilon {row.epsilon:g}"
    flags = (report.clean.near, *(f for row in report.rows for f in (row.survivors, row.survivors_threshold)))
    try:
        for text in filter(None, flags):
            unpack_bits(text, data.n)
    except ValueError as error:
        yield f"outcomes of single images that cannot be read: {error}"
    else:
        yield from _wrong_figures(report)


def _wrong_figures(report: Report) -> Iterator[str]:
    """Figures that do not follow from the outcomes of the single images."""
    n, clean = report.data.n, report.clean
    found = [("clean", clean, sum(image.clean == image.label for image in report.images))]
    found += [(row.attack, row, int(unpack_bits(row.survivors, n).sum())) for row in report.rows]
    for name, figure, right in found:
        if abs(figure.accuracy - right / n) > ROUNDING:
            yield f"{name}: an accuracy of {figure.accuracy:.4g}, but {right} of {n} images are right"
        if not np.allclose(figure.interval, wilson(right, n), atol=ROUNDING):
            yield f"{name}: an interval that is not that of {right} of {n} images"
    near = [("clean", clean.threshold, clean.near)]
    near += [(row.attack, row.threshold_accuracy, row.survivors_threshold) for row in report.rows]
    for name, share, bits in near:
        if share is not None and bits is not None and abs(share - unpack_bits(bits, n).mean()) > ROUNDING:
            yield f"{name}: a threshold accuracy of {share:.4g}, which is not that of its images"


def _protocol_faults(protocol: Protocol, channels: int) -> Iterator[str]:
    epsilons = protocol.epsilons
    if unknown := [name for name in protocol.attacks if name not in ATTACKS]:
        yield f"no attack {unknown[0]!r}"
    if not (protocol.attacks and protocol.targeted and epsilons):
        yield "a protocol without attacks or epsilons"
    if any(bool(severities_of(name)) != protocol.natural for name in protocol.attacks):
        yield "attacks and changes without an attack in one protocol"
    if protocol.natural and (protocol.ensemble or any(protocol.targeted) or not any(protocol.grid())):
        yield "changes without an attack, but with targets, in an ensemble or without a severity"
    if list(epsilons) != sorted(set(epsilons)) or not all(0 <= e < math.inf for e in epsilons):
        yield "epsilons that are negative or do not rise"
    if protocol.std is not None and not (len(protocol.std) == channels and min(protocol.std) > 0):
        yield "a standard deviation that does not fit the channels"
