"""Audit, train, export and serve image classifiers.

    from pathlib import Path
    import numpy as np
    import vivavoce as vv

    model = vv.open_model("digits-category")  # a shipped model, or the path of an .onnx or TorchScript file
    audit = vv.robustness(model, vv.Settings(limit=50))  # data="photos/": a folder with a subfolder per class
    print(audit.report.verdict, audit.report.rows[0].accuracy)
    Path("baseline.json").write_bytes(audit.report.to_json())

    checked = vv.check("digits-category", "baseline.json")  # attack a new version and compare image by image
    print(checked.comparison.passed, vv.load_report("baseline.json").clean.accuracy)
    print(vv.compare(audit.report, checked.audit.report).summary)  # two models or reports

    images = np.zeros((2, 3, 32, 32), np.float32)  # [N, C, H, W] in 0..1
    classes = vv.decide(model.answer(images).scores)
    gradient = vv.open_gradient(model, "cross-entropy")  # or the path of any .onnx file, images or not
    loss, slopes, scores = gradient(images, classes)
    heat = vv.explain(model, images, "saliency", classes=classes).heat  # [N, H, W]
    bank = vv.labels.build("gaussian-composition", ["cat", "dog"])

Input that can't be used raises `VivavoceError`, whose one line says what is wrong. The names in `__all__` are
public. Importing this package imports none of their modules.
"""

from typing import TYPE_CHECKING

from .reexports import reexport

if TYPE_CHECKING:
    from .artifacts import ExportedModel, LabelBank, Outputs, Preprocessing, decide, open_model
    from .audit import (
        Audit,
        Explained,
        Limits,
        Protocol,
        Report,
        Settings,
        check,
        compare,
        explain,
        load_report,
        resolve,
        robustness,
    )
    from .errors import VivavoceError
    from .gradient import InputGradient, open_gradient
    from .train import labels

    __version__: str
else:
    _load, __dir__ = reexport(
        __name__,
        {
            "artifacts": ("ExportedModel", "Preprocessing", "LabelBank", "Outputs", "decide", "open_model"),
            "audit": (
                *("Audit", "Explained", "Limits", "Protocol", "Report", "Settings"),
                *("check", "compare", "explain", "load_report", "resolve", "robustness"),
            ),
            "errors": ("VivavoceError",),
            "gradient": ("InputGradient", "open_gradient"),
            "train": ("labels",),
        },
    )

    def __getattr__(name: str) -> object:
        """Import a public name, or look up `__version__` in the installed metadata."""
        if name != "__version__":
            return _load(name)
        from importlib.metadata import version

        return version("vivavoce")


__all__ = [
    "Audit",
    "Explained",
    "ExportedModel",
    "InputGradient",
    "LabelBank",
    "Limits",
    "Outputs",
    "Preprocessing",
    "Protocol",
    "Report",
    "Settings",
    "VivavoceError",
    "check",
    "compare",
    "decide",
    "explain",
    "labels",
    "load_report",
    "open_gradient",
    "open_model",
    "resolve",
    "robustness",
]
