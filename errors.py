"""The exception for bad input and usage."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class VivavoceError(Exception):
    """Bad input or usage. The message is one line that says what is wrong and what to do.

    Commands print the message without a traceback and exit with status 2.
    """


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put a file's path in front of a `VivavoceError` that does not name it.

    Raises:
        VivavoceError: the body raised one; it stays of its kind.
    """
    try:
        yield
    except VivavoceError as error:
        if str(path) not in str(error):
            error.args = (f"{path}: {error}",)
        raise
