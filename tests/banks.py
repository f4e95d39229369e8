"""Label banks of the kinds that have one."""

from collections.abc import Callable
from typing import ParamSpec

from vivavoce.artifacts import LabelBank
from vivavoce.train.labels import build

Arguments = ParamSpec("Arguments")


def _present(make: Callable[Arguments, LabelBank | None]) -> Callable[Arguments, LabelBank]:
    def made(*args: Arguments.args, **kwargs: Arguments.kwargs) -> LabelBank:
        bank = make(*args, **kwargs)
        assert bank is not None
        return bank

    return made


build_bank = _present(build)
"""`vivavoce.train.labels.build` for kinds that have a bank."""
