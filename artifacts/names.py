"""Class names that a file without a manifest carries, or that its exporter wrote next to it."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from ..documents import parse_json
from ..errors import VivavoceError
from ..files import MEBIBYTE, read_text
from ..notices import say_once
from ..text import numbered, plain
from .classical import ML, own_labels

KEYS = ("names", "class_names", "classes", "labels", "label_names", "class_labels", "id2label", "label2id")
"""Keys under which exporters keep names: ultralytics (`names`), Hugging Face (`id2label`), timm
(`label_names`) and others."""
LISTS = ("labels.txt", "classes.txt", "class_names.txt", "labels.json", "class_names.json")
"""Files that exporters write next to a model; so are `<model>.names` and `<model>_labels.txt`."""
CONFIG = "config.json"
"""Hugging Face and timm keep the names in this file."""
LIMIT = 2 * MEBIBYTE
"""Bytes of names that are read; the 21,841 of ImageNet-21k take 1 MB."""
OPENING = ("{", "[", "(")
PLACEHOLDER = re.compile(r"(label|class)_?(\d+)", re.IGNORECASE)
"""Names that only number the classes; Hugging Face writes them for a model without names."""


def find_names(model: onnx.ModelProto, path: Path, count: int) -> tuple[str, ...] | None:
    """The names of a graph's classes: from its metadata, its nodes, or a file next to it.

    A list of a different length, or one that only numbers the classes, is not taken.

    Args:
        model: the graph.
        path: its file.
        count: how many classes it has.
    """
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return declared_names(metadata, count) or _in_nodes(model, count) or names_beside(path, count)


def declared_names(metadata: Mapping[str, str], count: int) -> tuple[str, ...] | None:
    """The names of `count` classes in what an exporter put into a file; None where it holds no such list."""
    entries = {key.rsplit(".", 1)[-1].lower(): value for key, value in metadata.items()}
    stored = (parse_names(entries[key], count) for key in KEYS if key in entries)
    return next(filter(None, stored), None)


def names_beside(path: Path, count: int) -> tuple[str, ...] | None:
    """The names of `count` classes from a file in a model's folder, as exporters write it.

    These are `<model>.names`, `<model>_labels.txt`, `labels.txt`, `classes.txt` and the like, and `id2label`
    or `label_names` in `config.json`. A line on standard error says which file they are from.
    """
    own = (f"{path.stem}.names", f"{path.stem}_labels.txt")
    for name in (*own, *LISTS):
        if found := parse_names(_text(path.parent / name), count):
            return _say(found, path, name)
    found = _pick(read_config(path.parent / CONFIG), count)
    return found and _say(found, path, CONFIG)


def _say(found: tuple[str, ...], path: Path, file: str) -> tuple[str, ...]:
    say_once(f"{plain(path.name)}: class names from {plain(file)}")
    return found


def read_config(path: Path) -> Mapping[str, Any]:
    """Read a JSON object that another tool wrote; empty if the file is missing or damaged."""
    with contextlib.suppress(VivavoceError):
        return parse_json(_text(path) or "{}", dict[str, Any], str(path))
    return {}


def parse_names(text: str, count: int) -> tuple[str, ...] | None:
    """Read names from text: JSON, a Python literal, one name a line, or names separated by commas.

    A list, a mapping from numbers to names and one from names to numbers are understood, and lines such as
    `0 cat` that begin with the number of their class.

    Returns:
        `count` names; None where the text holds no such list.
    """
    if len(text) > LIMIT:
        return None
    structured = text.lstrip()[:1] in OPENING
    for parse in (_from_json, parse_literal) if structured else (_from_lines, _from_commas):
        if found := _ordered(parse(text), count):
            return found
    return None


def _from_json(text: str) -> dict[str, Any] | list[Any] | None:
    with contextlib.suppress(VivavoceError):
        return parse_json(text, dict if text.lstrip()[0] == "{" else list, "")
    return None


def parse_literal(text: str) -> Any:
    """A list or mapping written as a Python literal; None where it is not one."""
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(text.strip())
    return None


def _from_lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    parts = [re.fullmatch(r"(\d+)[\s:,;]+(\S.*)", line) for line in lines]
    if parts and all(part and int(part[1]) == k for k, part in enumerate(parts)):
        return [part[2].strip() for part in parts if part]
    return lines


def _from_commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _ordered(found: Any, count: int) -> tuple[str, ...] | None:
    """`count` names in the order of the scores, from a list or mapping; None from anything else."""
    if isinstance(found, dict):
        if found.keys() & set(KEYS):
            return _pick(found, count)
        found = _by_number(found)
    if not isinstance(found, list | tuple) or len(found) != count:
        return None
    names = [_name(one) for one in found]
    usable = [name for name in names if name]
    return numbered(tuple(usable)) if len(usable) == count and not _numbers_only(usable) else None


def _pick(config: Mapping[str, Any], count: int) -> tuple[str, ...] | None:
    """The names under one of the known keys, also in the parts of a config."""
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        for key in KEYS:
            value = part.get(key)
            if isinstance(value, dict):
                value = _by_number(value)
            if found := _ordered(value, count):
                return found
    return None


def _by_number(mapping: dict[Any, Any]) -> list[Any] | None:
    """The names of a mapping from or to the numbers 0 to K - 1, in their order."""
    for pairs in (mapping.items(), ((number, name) for name, number in mapping.items())):
        numbers = {int(key): name for key, name in pairs if str(key).isdecimal()}
        if len(numbers) == len(mapping) and sorted(numbers) == list(range(len(numbers))):
            return [numbers[k] for k in range(len(numbers))]
    return None


def _name(value: Any) -> str:
    """A name in a list: text, a number, or the first of several words for one class."""
    if isinstance(value, list | tuple) and value:
        value = value[-1] if len(value) == 2 and str(value[0]).startswith("n0") else value[0]
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _numbers_only(names: Sequence[str]) -> bool:
    matches = [PLACEHOLDER.fullmatch(name) for name in names]
    return all(match and int(match[2]) in (k, k + 1) for k, match in enumerate(matches))


def _in_nodes(model: onnx.ModelProto, count: int) -> tuple[str, ...] | None:
    """The labels in the classifiers of ai.onnx.ml, and in the ZipMap that follows them."""
    for node in reversed(model.graph.node):
        held = own_labels(node) if node.domain == ML else []
        if len(held) == count and held != list(range(count)):
            return numbered(tuple(map(str, held)))
    return None


def _text(path: Path) -> str:
    """Read a text file; empty if it is missing or cannot be read."""
    with contextlib.suppress(VivavoceError, OSError, ValueError):
        return read_text(path, LIMIT) if path.is_file() else ""
    return ""


def read_names(path: Path) -> tuple[str, ...]:
    """The class names in a file with one name a line."""
    lines = read_text(path, 16 * MEBIBYTE).splitlines()
    return numbered(tuple(line.strip() for line in lines if line.strip()))
