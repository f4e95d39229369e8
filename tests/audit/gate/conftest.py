"""Reports with outcomes that a test chooses."""

import msgspec
import numpy as np
import pytest

from vivavoce.artifacts import open_model
from vivavoce.audit import Report, load_report
from vivavoce.audit.report import pack_bits, unpack_bits
from vivavoce.audit.statistics import wilson


@pytest.fixture(scope="session")
def shipped() -> Report:
    """The stored baseline of digits-category."""
    return load_report(open_model("digits-category").path.with_suffix(".json"))


@pytest.fixture(scope="session")
def shipped_speech() -> Report:
    """The stored baseline of digits-speech."""
    return load_report(open_model("digits-speech").path.with_suffix(".json"))


@pytest.fixture
def lose():
    """A report whose first row has lost, or gained, the given numbers of images."""

    def change(report: Report, lost: int, gained: int = 0, row: int = 0) -> Report:
        flags = unpack_bits(report.rows[row].survivors, report.data.n).copy()
        flags[np.flatnonzero(flags)[:lost]] = False
        flags[np.flatnonzero(~unpack_bits(report.rows[row].survivors, report.data.n))[:gained]] = True
        rows = list(report.rows)
        figures = {"accuracy": float(flags.mean()), "interval": wilson(int(flags.sum()), len(flags))}
        rows[row] = msgspec.structs.replace(rows[row], survivors=pack_bits(flags), **figures)
        return msgspec.structs.replace(report, rows=tuple(rows))

    return change
