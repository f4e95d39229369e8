"""What every format gives back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..artifacts.manifest import Manifest

Writer = Callable[[Manifest, Path], None]
"""Writes a converted model with this manifest to this file.

Conversion takes seconds, and the manifest stores what only the written file shows: that it answers alike.
"""
