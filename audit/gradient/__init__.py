"""The input-gradient graph: from an ONNX classifier to one graph that also computes the gradient."""

from .errors import UnsupportedOperator
from .session import InputGradient

__all__ = ["InputGradient", "UnsupportedOperator"]
