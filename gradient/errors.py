"""What can go wrong on the way to a gradient."""

from __future__ import annotations

from ..errors import VivavoceError


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
        super().__init__(
            f"no gradient through {operator} (node `{node}`): {reason}; "
            "only gradient-free attacks can audit this model"
        )
