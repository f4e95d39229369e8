"""Audits of exported files: gradients, attacks, diagnosis, reports, and the gate.

    from vivavoce.artifacts import open_model
    from vivavoce.audit import Settings, robustness

    audit = robustness(open_model("model.onnx"), Settings(data="photos/"))

The names below are imported on first use, so that the command line starts quickly.
"""

from typing import TYPE_CHECKING

from ..reexports import reexport

if TYPE_CHECKING:
    from .explaining.in_python import Explained, explain
    from .gate.checking import CheckResult, check, compare
    from .gate.comparison import Comparison
    from .gate.limits import Limits
    from .plan import Settings
    from .protocol import Protocol, resolve
    from .report import Report, load_report
    from .run import Audit, robustness
else:
    __getattr__, __dir__ = reexport(
        __name__,
        {
            "explaining.in_python": ("Explained", "explain"),
            "gate.checking": ("CheckResult", "check", "compare"),
            "gate.comparison": ("Comparison",),
            "gate.limits": ("Limits",),
            "protocol": ("Protocol", "resolve"),
            "report": ("Report", "load_report"),
            "plan": ("Settings",),
            "run": ("Audit", "robustness"),
        },
    )

__all__ = [
    "Audit",
    "CheckResult",
    "Comparison",
    "Explained",
    "Limits",
    "Protocol",
    "Report",
    "Settings",
    "check",
    "compare",
    "explain",
    "load_report",
    "resolve",
    "robustness",
]
