"""What an exported model is, and how to open and decode one.

The names below are loaded on first use, so that the command line starts quickly.
"""

from typing import TYPE_CHECKING

from ..reexports import reexport

if TYPE_CHECKING:
    from .bank import LabelBank
    from .decoding import Outputs, decide, within_threshold
    from .manifest import Manifest
    from .model import ExportedModel, default_model, find_model, open_model, shipped_models
    from .preprocessing import Preprocessing
else:
    __getattr__, __dir__ = reexport(
        __name__,
        {
            "bank": ("LabelBank",),
            "decoding": ("Outputs", "decide", "within_threshold"),
            "manifest": ("Manifest",),
            "model": ("ExportedModel", "default_model", "find_model", "open_model", "shipped_models"),
            "preprocessing": ("Preprocessing",),
        },
    )

__all__ = [
    "ExportedModel",
    "LabelBank",
    "Manifest",
    "Outputs",
    "Preprocessing",
    "decide",
    "default_model",
    "find_model",
    "open_model",
    "shipped_models",
    "within_threshold",
]
