"""What can go wrong on the way to a gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..artifacts.runtime import first_line
from ..errors import VivavoceError
from ..text import plain

BEFORE = "onnxruntime's optimiser wrote it; audit the file from before the optimisation"
"""The way forward where a fused operator cannot be written out."""


class MissingRule(Exception):
    """Raised inside a rule that cannot differentiate this node; the message says why."""


class UnsupportedOperator(VivavoceError):
    """The model has an operator through which no gradient is available.

    Attributes:
        operator: the operator's name, with its domain unless that is the standard one.
        node: the node's name, or that of its first output when it has none.
        reason: why, in a few words.
    """

    def __init__(self, operator: str, node: str, reason: str) -> None:
        self.operator, self.node, self.reason = operator, node, reason
        super().__init__(f"no gradient through {operator} (node `{plain(node)}`): {reason}")


class PiecewiseConstant(UnsupportedOperator):
    """The input moves the scores through choices alone, as in decision trees; nothing changes them gently."""


class Unprepared(VivavoceError):
    """The model's gradient could not be prepared, for an unexpected reason."""


@contextmanager
def preparing() -> Iterator[None]:
    """Turn whatever fails while a gradient is prepared into one line that names the class of error.

    The file itself may still run: an audit then goes on with gradient-free attacks.

    Raises:
        Unprepared: anything but a `VivavoceError`, which is one line already, or a lack of memory.
    """
    try:
        yield
    except (VivavoceError, MemoryError):
        raise
    except Exception as error:  # those of onnx, protobuf and onnxruntime share no base class
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise Unprepared(f"the gradient cannot be prepared ({reason})") from error
