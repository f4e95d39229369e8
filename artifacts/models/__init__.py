"""Models that ship with the package; README.md tells their figures."""
