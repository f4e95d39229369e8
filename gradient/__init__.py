"""The input-gradient graph: from an ONNX classifier to one graph that also computes the gradient."""

from .errors import UnsupportedOperator
from .memory import batch_size
from .session import InputGradient
from .support import Support, support

__all__ = ["InputGradient", "Support", "UnsupportedOperator", "batch_size", "support"]
