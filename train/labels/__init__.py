"""Label representations: one small module each, behind one registry. Importing this is cheap."""

from .kinds import KINDS, Kind, build

__all__ = ["KINDS", "Kind", "build"]
