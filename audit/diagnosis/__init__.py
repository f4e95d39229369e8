"""Can the attacks be trusted? Observations, one small check per way that attacks fail, and the verdict."""

from . import checks

__all__ = ["checks"]
