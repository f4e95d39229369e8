"""The gradient of an ONNX model as an ONNX graph, with respect to its input or to any value inside it."""

from .errors import UnsupportedOperator
from .inner import InnerValue, inner_values
from .memory import batch_size
from .opening import open_gradient
from .portable import gradient_file
from .session import Evaluation, InputGradient
from .support import Support, support

__all__ = [
    "Evaluation",
    "InnerValue",
    "InputGradient",
    "Support",
    "UnsupportedOperator",
    "batch_size",
    "gradient_file",
    "inner_values",
    "open_gradient",
    "support",
]
