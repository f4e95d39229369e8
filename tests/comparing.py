"""Comparing what two audits found."""

import msgspec

from vivavoce.audit.report import Report

TIMES = {"seconds", "speed", "command", "date"}
"""Fields of a report in which two audits of one model differ; the command is not what was found."""


def without_times(report: Report) -> object:
    """A report as plain values, all its fields but those that tell times or the command."""

    def kept(value):
        if isinstance(value, dict):
            return {name: kept(v) for name, v in value.items() if name not in TIMES}
        return [kept(v) for v in value] if isinstance(value, list | tuple) else value

    return kept(msgspec.to_builtins(report))
