"""Ground floor: what an exported model is, and how to open, decode and play one."""

from .bank import LabelBank
from .manifest import Manifest

__all__ = ["LabelBank", "Manifest"]
