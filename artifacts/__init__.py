"""Ground floor: what an exported model is, and how to open, decode and play one."""

from .bank import LabelBank
from .decoding import Outputs, decide, within_threshold
from .foreign import Foreign
from .manifest import Manifest
from .model import ExportedModel, default_model, find_model, open_model, shipped_models

__all__ = [
    "ExportedModel",
    "Foreign",
    "LabelBank",
    "Manifest",
    "Outputs",
    "decide",
    "default_model",
    "find_model",
    "open_model",
    "shipped_models",
    "within_threshold",
]
