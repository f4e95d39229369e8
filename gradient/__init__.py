"""The gradient of an ONNX model as an ONNX graph, with respect to its input or to any value inside it."""

from .errors import UnsupportedOperator
from .inner import InnerValue, inner_values
from .memory import batch_size
from .session import Evaluation, InputGradient
from .support import Support, support

__all__ = [
    "Evaluation",
    "InnerValue",
    "InputGradient",
    "Support",
    "UnsupportedOperator",
    "batch_size",
    "inner_values",
    "support",
]
