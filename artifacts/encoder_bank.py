"""A label bank for an encoder's output: what the options say, and whether it fits the file."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

import msgspec
import numpy as np

from ..errors import VivavoceError, naming
from ..text import plain
from .bank import PLAIN, LabelBank
from .limits import MOST_CLASSES, MOST_VALUES
from .manifest import Decoding, Label, Manifest, schema_of
from .metrics import METRICS, Metric, check_rows, nearness
from .names import read_names
from .preprocessing import MetricName, Pool, Preprocessing

OF_KIND: dict[str, MetricName] = {PLAIN: "cosine", "text": "cosine", "gallery": "cosine", "ecoc": "hamming"}
"""How the labels of a kind are compared, unless the user says; those of the others by squared distances."""
SPREAD = 8
"""Default scale: so many units of the scores between two labels, in the median over all pairs."""
SAMPLE = 500
"""Classes from which that median is taken, at most."""


@dataclass(frozen=True, eq=False)
class EncoderBank:
    """A bank, and how to compare predictions with its labels."""

    path: Path
    bank: LabelBank
    metric: MetricName
    pool: Pool
    scale: float | None
    """What similarities, or minus distances, are multiplied by; None: from the bank."""
    threshold: float | None
    """In the metric's own units."""

    @property
    def measure(self) -> Metric:
        """How values of the metric are shown and bounded."""
        return METRICS[self.metric]

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers that the encoder's output may have for an image.

        An array [K, M, ...] that does not say what M is may hold M labels of each class, or labels [M, ...].
        """
        shape = self.bank.labels.shape
        if self.bank.members is not None:
            return (math.prod(shape[2:]),)
        return (math.prod(shape[1:]), *([math.prod(shape[2:])] if len(shape) > 2 else []))

    def fitted(self, width: int, path: Path, output: str) -> EncoderBank:
        """The same for an encoder whose output has `width` numbers for an image, checked.

        Args:
            width: numbers of the output.
            path: the encoder, for messages.
            output: its output, for messages.

        Raises:
            VivavoceError: the bank's labels have another size, or the metric cannot be used with them.
        """
        bank = self.bank
        if width not in self.widths:
            raise VivavoceError(
                f"{self.path}: its labels have {self.widths[-1]:,} numbers, but the output {plain(output)!r} "
                f"of {path.name} has {width:,}; build the bank for this encoder"
            )
        if width != self.widths[0]:
            bank = replace(bank, members=(bank.labels.shape[1],) * len(bank.labels))
        if self.metric == "smooth-l1" and bank.labels.size > MOST_VALUES:
            raise VivavoceError(
                f"{self.path}: {len(bank.labels):,} classes are too many for smooth-l1, which keeps "
                f"{bank.labels.size:,} numbers an image; give --metric squared-l2"
            )
        with naming(self.path):
            check_rows(self.metric, bank.rows, bank.classes)
        fitted = replace(self, bank=bank)
        return replace(fitted, scale=fitted.usual_scale if self.scale is None else self.scale)

    @property
    def loss_threshold(self) -> float | None:
        """The threshold for the output `loss`."""
        return None if self.threshold is None else self.measure.shown(self.threshold)

    @cached_property
    def usual_scale(self) -> float:
        """Eight over the median distance of two labels: scores on the scale of logits. 1 for `dot`."""
        rows = self.bank.rows
        if self.metric == "dot":
            return 1.0
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int)), :1]
        distance = self.measure.offset - nearness(self.metric, chosen[:, 0], chosen)
        median = float(np.median(distance[np.triu_indices(len(chosen), 1)]))
        return SPREAD / median if median > 1e-9 else 1.0

    def described(self, manifest: Manifest) -> Manifest:
        """The manifest of a file whose output is compared with this bank."""
        bank, labels = self.bank, self.bank.labels
        assert self.scale is not None
        several = bank.rows.shape[1]
        label = Label(
            kind=bank.kind,
            shape=bank.shape,
            minimum=float(labels.min()),
            maximum=float(labels.max()),
            digest=self.held.digest,
            temperature=1 / self.scale,
            frames=bank.frames,
            mel=bank.mel,
            metric=self.metric,
            pool=self.pool if several > 1 else None,
            several=several,
        )
        return msgspec.structs.replace(
            manifest,
            spoken=bank.spoken,
            label=label,
            decoding=Decoding("nearest", self.loss_threshold),
            schema=schema_of(manifest.names, label),
        )

    @property
    def held(self) -> LabelBank:
        """The bank as the file holds it: with a dimension for several labels only where there are some."""
        if self.bank.members is None or self.bank.labels.shape[1] > 1:
            return self.bank
        return replace(self.bank, labels=self.bank.labels[:, 0], members=None)


def bank_of(options: Preprocessing) -> EncoderBank | None:
    """The bank that the options name, with its class names and all that they say about it; None: no bank.

    Raises:
        VivavoceError: the bank cannot be used, or an option needs a different one.
    """
    given = [name for name in ("metric", "pool", "logit_scale", "threshold") if name in options.given]
    if options.bank is None:
        if given:
            raise VivavoceError(f"--{given[0].replace('_', '-')} needs --bank BANK.npz")
        return None
    path = Path(options.bank)
    bank = LabelBank.load(path)
    if options.classes is not None:
        bank = _renamed(bank, read_names(Path(options.classes)), path, options.classes)
    if len(bank.labels) < 2:
        raise VivavoceError(
            f"{path}: the bank has one class; a classifier needs at least 2 (to verify one identity, add the "
            "labels of others)"
        )
    if len(bank.labels) > MOST_CLASSES:
        raise VivavoceError(f"{path}: {len(bank.labels):,} classes; at most {MOST_CLASSES:,} are read")
    metric = options.metric or own_metric(bank) or "squared-l2"
    if options.threshold is not None:
        _check_threshold(options.threshold, options.metric)
    if options.logit_scale is not None and not 1e-9 <= options.logit_scale <= 1e9:
        raise VivavoceError(f"--logit-scale must be positive, not {options.logit_scale:g}")
    return EncoderBank(path, bank, metric, options.pool or "max", options.logit_scale, options.threshold)


def own_metric(bank: LabelBank) -> MetricName | None:
    """How a bank's labels are compared, unless the user says: by its recipe, or as is usual for its kind.

    None: as models trained on such labels compare them.
    """
    named = bank.recipe.get("metric")
    return cast(MetricName, named) if named in METRICS else OF_KIND.get(bank.kind)


def _renamed(bank: LabelBank, names: tuple[str, ...], path: Path, file: str) -> LabelBank:
    """The bank with the names of its classes from the user's list."""
    if len(names) != len(bank.classes):
        raise VivavoceError(f"{file}: {len(names)} names, but {path.name} has {len(bank.classes)} classes")
    return replace(bank, classes=names)


def _check_threshold(threshold: float, metric: MetricName | None) -> None:
    """Check a threshold in the units of its metric.

    Raises:
        VivavoceError: no metric is given, or the threshold is not a value of it.
    """
    if metric is None:
        raise VivavoceError(
            f"--threshold {threshold:g} is in the units of a metric; say which, such as --metric cosine"
        )
    similarity, high = METRICS[metric].similarity, 1.0 if metric in ("cosine", "hamming") else 1e12
    low = -high if similarity else 0.0
    if not low < threshold < high:
        what = "similarity" if similarity else "distance"
        raise VivavoceError(
            f"--threshold {threshold:g} is no {metric} {what}, which is between {low:g} and {high:g}"
        )
