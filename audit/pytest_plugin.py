"""The fixture `vivavoce`: robustness and regressions of an exported model as tests.

pytest imports this in every session of every project that has vivavoce installed, so nothing heavy is
imported until a test runs an audit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..artifacts import ExportedModel, Preprocessing
    from .gate.checking import CheckResult
    from .protocol import Protocol
    from .run import Audit


class Examiner:
    """What the fixture `vivavoce` gives."""

    def audit(
        self,
        model: str | Path,
        data: str | Path | None = None,
        *,
        shifted: str | Path | None = None,
        protocol: str = "quick",
        epsilon_space: str | None = None,
        limit: int = 1000,
        seed: int = 0,
        preprocessing: Preprocessing | None = None,
    ) -> Examination:
        """Prepare an audit of a model; the attacks run with the first assertion.

        Args:
            model: path, or name of a shipped model.
            data: as `--data`; None: the model's own.
            shifted: as `--shifted`, for `assert_stands("shifted", …)`.
            protocol: `quick`, `fast`, `standard` or `paper`, for `assert_robust`.
            epsilon_space: `pixel` or `normalized`; None: the protocol's.
            limit: audit a stratified sample of this many images; 0: all.
            seed: of the sample and every attack.
            preprocessing: how a model without a manifest is fed and read.
        """
        source, second = (None if given is None else str(given) for given in (data, shifted))
        return Examination(Path(model), source, second, protocol, epsilon_space, limit, seed, preprocessing)


class Examination:
    """A model and how to audit it. Each audit runs once, however many assertions use it."""

    def __init__(
        self,
        model: Path,
        data: str | None,
        shifted: str | None,
        protocol: str,
        space: str | None,
        limit: int,
        seed: int,
        preprocessing: Preprocessing | None,
    ) -> None:
        self.model, self.data, self.shifted = model, data, shifted
        self.protocol, self.space = protocol, space
        self.limit, self.seed, self.preprocessing = limit, seed, preprocessing
        self._audits: dict[float | tuple[str, int], Audit] = {}

    def at(self, epsilon: float) -> Audit:
        """The audit at one epsilon."""
        from .protocol import resolve

        if epsilon not in self._audits:
            self._audits[epsilon] = self._audit(resolve(self.protocol, epsilons=[epsilon], space=self.space))
        return self._audits[epsilon]

    def under(self, kind: str, severity: int) -> Audit:
        """The audit under one kind of change at one severity."""
        from .protocol import resolve

        if (kind, severity) not in self._audits:
            protocol = resolve("natural", attacks=[kind], severities=[severity])
            self._audits[kind, severity] = self._audit(protocol, self.shifted if kind == "shifted" else None)
        return self._audits[kind, severity]

    def _audit(self, protocol: Protocol, shifted: str | None = None) -> Audit:
        from ..artifacts import open_model
        from .plan import Settings
        from .run import robustness

        settings = Settings(
            protocol=protocol, data=self.data, shifted=shifted, limit=self.limit, seed=self.seed
        )
        return robustness(open_model(self.model, self.preprocessing), settings)

    def assert_robust(self, epsilon: float, at_least: float) -> None:
        """Assert that a share of the images survives every attack, and that the attacks can be trusted.

        Args:
            epsilon: radius of the box, in the protocol's units (pixels of 0..1 for all but `paper`).
            at_least: share of all images, in 0..1.
        """
        __tracebackhide__ = True
        report = self.at(epsilon).report
        share = sum(image.robust for image in report.images) / len(report.images)
        masked = [c for c in report.diagnosis if c.level == "masked"]
        if share < at_least:
            _fail(f"robust accuracy {share:.1%} is under {at_least:.1%}", _table(report))
        if masked:
            _fail(f"the attacks cannot be trusted: {masked[0].meaning}", _table(report))

    def assert_stands(self, kind: str, severity: int = 1, *, at_least: float) -> None:
        """Assert that the model still classifies a share of the images correctly after a change.

        Args:
            kind: of the protocol `natural`, such as `jpeg`, `fog` or `rotation-worst`, or `shifted`.
            severity: 1 to 5; some kinds have 2 and 4, or 1 alone.
            at_least: share of all images, in 0..1.
        """
        __tracebackhide__ = True
        report = self.under(kind, severity).report
        share = report.rows[0].accuracy
        if share < at_least:
            _fail(
                f"accuracy under {kind}, severity {severity}, {share:.1%} is under {at_least:.1%}",
                _table(report),
            )

    def assert_no_regression(
        self,
        baseline: str | Path,
        *,
        max_drop: float = 1.0,
        row_drops: Mapping[str, float] | None = None,
        alpha: float = 0.05,
    ) -> CheckResult:
        """Assert what `audit check` asserts; see `vivavoce.audit.check`.

        Args:
            baseline: report of the earlier audit, whose protocol and images count.
            max_drop: points that a row may drop.
            row_drops: the same for some rows, by name or pattern.
            alpha: probability of any false alarm among the rows.
        """
        __tracebackhide__ = True
        from .gate.checking import CheckResult as Result
        from .gate.comparison import compare_reports
        from .gate.ending import endings_of
        from .gate.limits import Limits
        from .gate.repeating import audit_again, open_like
        from .gate.table import text
        from .report import load_report

        limits = Limits(max_drop, tuple((row_drops or {}).items()), alpha)
        earlier = load_report(baseline)
        opened: ExportedModel = open_like(self.model, earlier, self.preprocessing)
        shifted = self.shifted if earlier.data.shifted else None
        endings = endings_of(opened, earlier, limits)
        folder = Path(baseline).parent
        audit = audit_again(opened, earlier, self.data, folder, shifted=shifted, endings=endings)
        comparison = compare_reports(earlier, audit.report, limits, endings=endings)
        if not comparison.passed:
            _fail(comparison.summary, text(comparison))
        return Result(comparison, audit)


def _table(report) -> str:
    import io

    from ..terminal import PlainConsole
    from .writing.table import show

    file = io.StringIO()
    show(report, PlainConsole(file=file, width=120, color_system=None, soft_wrap=True))
    return file.getvalue()


def _fail(reason: str, table: str) -> None:
    __tracebackhide__ = True
    raise AssertionError(f"{reason}\n\n{table}")


@pytest.fixture(scope="session")
def vivavoce() -> Examiner:
    """Audits of exported image classifiers: `vivavoce.audit("model.onnx", data="photos/")`."""
    return Examiner()
