"""Models that ship with the package; README.md lists their figures."""
