"""What a TorchScript module returns: one tensor, or several in tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import VivavoceError
from ..text import plain
from .outputs import SCORE_NAMES, Output, looks_like_embedding
from .torch_graph import Key

if TYPE_CHECKING:
    import torch


class Found(NamedTuple):
    """One tensor that a module returns."""

    name: str
    """Keys, names of fields and numbers on the way to it, joined with dots."""
    keys: tuple[Key, ...]
    tensor: torch.Tensor


def run(module: Any, fed: torch.Tensor, path: Path) -> Any:
    """What a module returns.

    Raises:
        VivavoceError: torch fails.
    """
    try:
        return module(fed)
    except Exception as error:  # a module of unknown origin raises anything
        raise VivavoceError(
            f"{path}: torch failed on images as {list(fed.shape)}: {reason(error)}"
        ) from error


def reason(error: BaseException) -> str:
    """What went wrong, in one line: torch puts a trace of the code in front, and advice behind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("RuntimeError: ", "builtins.", "torch.jit.Error: "))]
    if told:
        return plain(told[-1].split(": ", 1)[1])
    return plain(lines[0]) if lines else type(error).__name__


def outputs(value: Any, name: str = "", keys: tuple[Key, ...] = ()) -> Iterator[Found]:
    """Every tensor in what a module returned, in order."""
    import torch

    if isinstance(value, torch.Tensor):
        yield Found(name or "output", keys, value)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from outputs(part, f"{name}.{key}" if name else str(key), (*keys, key))
    elif isinstance(value, tuple | list):
        fields = getattr(value, "_fields", range(len(value)))
        for k, (field, part) in enumerate(zip(fields, value, strict=True)):
            yield from outputs(part, f"{name}.{field}" if name else str(field), (*keys, k))


def pick(value: Any, keys: Sequence[Key]) -> torch.Tensor:
    """One tensor in what a module returned."""
    for key in keys:
        value = value[key]
    return value


def choose(
    value: Any, path: Path, wanted: str | None, count: int, widths: Sequence[int] | None = None
) -> tuple[Output, tuple[Key, ...], torch.Tensor]:
    """Choose the output of scores: the one the user names, the only one, or the only one it can be.

    Args:
        value: what a module returned for `count` images.
        path: the file, for messages.
        wanted: the output's name or, if none is called that, its number from 0.
        count: N.
        widths: choose an embedding instead, with one of these numbers of entries.

    Returns:
        The output, where it is in what the module returned, and what it holds.

    Raises:
        VivavoceError: there is no such output, several may be meant, or it is not one of scores.
    """
    found = list(outputs(value))
    likely = _likely(found, count) if widths is None else _embeddings(found, count, widths)
    alone = len(found) == 1
    if wanted is not None:
        one = _named(found, path, wanted)
    elif alone or len(likely) == 1:
        one = found[0] if alone else likely[0]
    else:
        shown = ", ".join(plain(each.name) for each in found) or "no tensor"
        advice = f", such as --output-name {plain(likely[0].name)}" if likely else ""
        raise VivavoceError(f"{path}: {len(found)} outputs ({shown}); choose one with --output-name{advice}")
    fits = _scores if widths is None else _embeds
    if not fits(one.tensor, count):
        kind, shape = str(one.tensor.dtype).removeprefix("torch."), list(one.tensor.shape)
        what = "a classifier gives float [N, classes]", "an encoder gives float [N, ...]"
        expected = what[widths is not None]
        raise VivavoceError(
            f"{path}: the output {plain(one.name)!r} is {kind} {shape} for {count} images; {expected}: "
            "choose such an output with --output-name, or export the model with one"
        )
    return Output(one.name, alone, wanted is not None), one.keys, one.tensor


def _likely(found: list[Found], count: int) -> list[Found]:
    """The outputs that can be class scores, the likeliest first.

    Of logits and their softmax only one counts: they put the classes in the same order.
    """
    kept: list[tuple[tuple[bool, bool], Found]] = []
    orders = []
    for one in found:
        if not _scores(one.tensor, count) or looks_like_embedding(one.name):
            continue
        rows = one.tensor.reshape(count, -1)
        order = rows.argsort(1, descending=True)[:, :3].tolist()
        if rows.shape[1] > 1 and order in orders:
            continue
        orders.append(order)
        kept.append(((rows.shape[1] > 1, any(part in one.name.lower() for part in SCORE_NAMES)), one))
    several = any(rank[0] for rank, _ in kept)
    ranked = sorted((pair for pair in kept if pair[0][0] == several), key=lambda pair: pair[0], reverse=True)
    return [one for _, one in ranked]


def _embeddings(found: list[Found], count: int, widths: Sequence[int]) -> list[Found]:
    """The outputs that can be embeddings of these widths: those that say so, if there are any."""
    sizes = [count * width for width in widths]
    fitting = [one for one in found if _embeds(one.tensor, count) and one.tensor.numel() in sizes]
    return [one for one in fitting if looks_like_embedding(one.name)] or fitting


def _embeds(tensor: torch.Tensor, count: int) -> bool:
    """Whether a tensor can hold an embedding of each of `count` images."""
    return tensor.is_floating_point() and tensor.numel() > 0 and (count == 1 or tensor.shape[:1] == (count,))


def _named(found: list[Found], path: Path, wanted: str) -> Found:
    by_name = {one.name: one for one in found}
    if wanted in by_name:
        return by_name[wanted]
    if wanted.isdecimal() and len(wanted) < 4 and int(wanted) < len(found):
        return found[int(wanted)]
    names = ", ".join(map(plain, by_name))
    raise VivavoceError(f"{path}: no output {plain(wanted)!r}; there are {names}, or 0 to {len(found) - 1}")


def _scores(tensor: torch.Tensor, count: int) -> bool:
    """Whether a tensor can be the scores of `count` images: [N, K], [N, K, 1, 1], or [K] of one image."""
    shape = list(tensor.shape)
    batched = bool(shape) and shape[0] == count and (len(shape) > 1 or count > 1)
    long = [size for size in shape[int(batched) :] if size != 1]
    return tensor.is_floating_point() and len(long) < 2 and (batched or count == 1) and tensor.numel() > 0
