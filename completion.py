"""What a shell completes: names of models, attacks, label kinds and the like; files it completes itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from importlib import import_module
from types import FunctionType
from typing import Annotated, Any, get_args, get_origin

NAMES = {
    "model": ".artifacts.model:shipped_models",
    "attack": ".audit.protocol:ATTACKS",
    "protocol": ".audit.protocol:PROTOCOLS",
    "method": ".audit.explaining.methods:METHODS",
    "data": ".images.sources:NAMES",
    "dataset": ".images.sources:NAMES",
    "label": ".train.labels.kinds:KINDS",
    "kind": ".train.labels.kinds:KINDS",
    "encoder": ".train.encoders:NAMES",
    "recipe": ".train.recipes:shipped",
    "study": ".study.plan:shipped",
}
"""Where the names for an option or argument are: a module, and a collection in it or a function that gives
one. Nothing is imported before a shell asks."""


def add_completers(command: Callable[..., None]) -> None:
    """Give the parameters of a command the completers that go with their names."""
    parameters = inspect.signature(command, eval_str=True).parameters
    command.__annotations__ |= {p.name: p.annotation for p in parameters.values()}  # else evaluated again
    for parameter in parameters.values():
        if parameter.name in NAMES and get_origin(parameter.annotation) is Annotated:
            option: Any = get_args(parameter.annotation)[1]
            option.autocompletion = option.autocompletion or _completer(NAMES[parameter.name])


def _completer(place: str) -> Callable[[str], list[str]]:
    module, _, attribute = place.partition(":")

    def complete(incomplete: str) -> list[str]:
        found = getattr(import_module(module, __package__), attribute)
        names: Iterable[str] = found() if isinstance(found, FunctionType) else found
        return [name for name in names if name.startswith(incomplete)]

    return complete
