"""Names that a package offers without importing the modules that define them."""

from collections.abc import Callable, Mapping, Sequence


def reexport(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make `__getattr__` and `__dir__` of a package whose public names are imported on first use.

    Type checkers don't follow this; import the same names under `if TYPE_CHECKING`.

    Args:
        package: the package's `__name__`.
        homes: the public names of each module, by the module's name relative to the package.
    """
    where = {name: home for home, names in homes.items() for name in names}

    def load(name: str) -> object:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(__import__(f"{package}.{where[name]}", fromlist=[name]), name)

    return load, lambda: sorted(where)
