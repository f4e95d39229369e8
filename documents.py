"""Reads JSON and TOML from outside and writes JSON. Every error is one line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .errors import VivavoceError
from .files import MEBIBYTE, read_text
from .text import encodable

T = TypeVar("T")
TOML_LIMIT = MEBIBYTE
"""Bytes of the largest TOML file that is read; people write them by hand."""


def parse_json(text: str | bytes, kind: type[T], where: str, what: str = "what is expected here") -> T:
    """Read JSON as a value of a type.

    Args:
        text: the document.
        kind: its type, as msgspec takes it.
        where: what the message names: a file, or a part of one.
        what: what the document should be, with its article.

    Raises:
        VivavoceError: it is not JSON, not of that type, or nested too deep.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except RecursionError:
        raise VivavoceError(f"{where}: not {what} (nested too deep)") from None
    except ValueError as error:  # msgspec's own among them; others: integers without end, broken text
        raise VivavoceError(f"{where}: not {what} ({error})") from error


def read_json(path: Path, kind: type[T], what: str = "what is expected here") -> T:
    """Read a JSON file as a value of a type.

    Raises:
        VivavoceError: it cannot be read, or as for `parse_json`.
    """
    return parse_json(read_text(path), kind, str(path), what)


def parse_toml(text: str, where: str, what: str = "what is expected here") -> dict[str, Any]:
    """Read TOML.

    Raises:
        VivavoceError: it is not TOML, or nested too deep.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise VivavoceError(f"{where}: not {what} (nested too deep)") from None
    except ValueError as error:
        raise VivavoceError(f"{where}: not {what} ({error})") from error


def read_toml(path: Path, what: str = "what is expected here") -> dict[str, Any]:
    """Read a TOML file of at most 1 MiB.

    Raises:
        VivavoceError: it cannot be read, or as for `parse_toml`.
    """
    return parse_toml(read_text(path, TOML_LIMIT), str(path), what)


def convert(value: Any, kind: type[T], where: str, strict: bool = True) -> T:
    """Make a value of a type from plain dicts, lists and numbers.

    Raises:
        VivavoceError: a field is missing, unknown or of the wrong type; the message names it.
    """
    try:
        return msgspec.convert(value, kind, strict=strict)
    except RecursionError:
        raise VivavoceError(f"{where}: nested too deep") from None
    except ValueError as error:
        raise VivavoceError(f"{where}: {error}") from error


def json_of(value: Any, indent: int = 1) -> bytes:
    """Indented JSON that ends in a newline. Names that UTF-8 cannot hold have backslash escapes in them."""
    try:
        text = msgspec.json.encode(value)
    except UnicodeEncodeError:
        text = msgspec.json.encode(_encodable(msgspec.to_builtins(value)))
    return msgspec.json.format(text, indent=indent) + b"\n"


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    return [_encodable(one) for one in value] if isinstance(value, list | tuple) else value
