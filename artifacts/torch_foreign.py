"""Torch files without a manifest: what they take and give, and their adaption to the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from onnx import helper

from ..errors import VivavoceError
from .encoder_bank import bank_of
from .entry import Entry
from .head import Head, Kind
from .limits import MOST_CLASSES
from .manifest import Manifest
from .names import declared_names, names_beside, read_names
from .outputs import looks_like_embedding
from .preprocessing import Preprocessing
from .scores import SLACK
from .torch_bank import BankAnswers
from .torch_graph import Ending, endings
from .torch_input import Example, device_of, find_input
from .torch_output import Key, choose, pick, run
from .torch_scorer import Scorer, feed, interpreted
from .understood import Understood

if TYPE_CHECKING:
    import torch

CLOSE = {"float32": 1e-4, "float64": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""How far a softmax of the scores may be from the file's own probabilities, by type."""
NOISE = 4
"""Random images on which a module is looked at."""
INPUT = "input"
"""What to call the input of a module in messages."""


@dataclass(frozen=True)
class Adapted:
    """A file without a manifest, under the contract."""

    scorer: Scorer
    manifest: Manifest
    named: bool
    """Whether the class names are known."""
    understood: Understood
    keys: tuple[Key, ...]
    """Where the output is in what the module returns."""


def adapt(
    module: torch.nn.Module,
    example: Example | None,
    path: Path,
    options: Preprocessing,
    declared: Mapping[str, str],
) -> Adapted:
    """Find out how a module takes images and gives scores.

    Args:
        module: in evaluation mode, with parameters that need no gradient.
        example: the image that it was traced or exported with; None where the file does not say.
        path: the file, for messages.
        options: what the user says; the rest is inferred.
        declared: what the exporter put into the file.

    Raises:
        VivavoceError: it does not look like a classifier of one image, or needs an option.
    """
    import torch

    if options.fix:
        raise VivavoceError(
            f"{path}: --fix is for .onnx files; write a module around the network that has the value built "
            "in, and trace that"
        )
    with torch.no_grad(), interpreted():
        taken = find_input(module, example, path, options)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(_numpy_name(taken.dtype)))
        entry = Entry.understand(INPUT, taken.sizes, kind, path, options)
        fed = _noise(entry, taken.dtype).to(device_of(module))
        count = entry.batch if isinstance(entry.batch, int) else NOISE
        bank = bank_of(options)
        widths = bank.widths if bank else None
        output, keys, tensor = choose(run(module, fed, path), path, options.output_name, count, widths)
        rows = tensor.reshape(count, -1)
        if bank:
            fitted = bank.fitted(rows.shape[1], path, output.name)
            manifest = fitted.described(entry.manifest(fitted.bank.classes, path, options))
            understood = Understood(output, Head("label bank"), entry, INPUT, {INPUT: INPUT}, {})
            answers = BankAnswers(fitted, fed.device)
            scorer = Scorer(entry, taken.dtype, _picking(module, keys), understood.head, answers)
            return Adapted(scorer, manifest, True, understood, keys)
        sure = output.chosen or options.classes is not None
        ending, head = _ending(module, keys, fed, rows)
        _refuse_embedding(rows, output.name, head, path, sure)
    classes = 2 if head.single else rows.shape[1]
    names = _names(declared, path, options.classes, classes)
    manifest = entry.manifest(names or tuple(map(str, range(classes))), path, options)
    understood = Understood(output, head, entry, INPUT, {INPUT: INPUT}, {})
    return Adapted(
        Scorer(entry, taken.dtype, ending.run, head), manifest, names is not None, understood, keys
    )


def in_float32(module: torch.nn.Module, found: Adapted) -> Scorer | None:
    """The same scores without the rounding of half precision, for a gradient that does not vanish in it.

    Args:
        module: the file's, loaded once more; it is changed.
        found: how the file is fed and read.

    Returns:
        None for a module that fixes the type of its values.
    """
    import torch

    module = module.float()
    scorer = found.scorer
    with torch.no_grad(), interpreted():
        try:
            fed = _noise(scorer.entry, torch.float32).to(device_of(module))
            rows = pick(module(fed), found.keys).reshape(len(fed), -1)
            ending, head = _ending(module, found.keys, fed, rows)
        except Exception:  # torch raises many kinds; the file's own module has a gradient too
            return None
    if scorer.bank:
        run = _picking(module, found.keys)
        return Scorer(scorer.entry, torch.float32, run, scorer.head, scorer.bank)
    return Scorer(scorer.entry, torch.float32, ending.run, head) if head == scorer.head else None


def _numpy_name(dtype: torch.dtype) -> str:
    """The type by which an input is understood; numpy has no bfloat16."""
    name = str(dtype).removeprefix("torch.")
    return "float16" if name == "bfloat16" else name


def _noise(entry: Entry, dtype: torch.dtype) -> torch.Tensor:
    """Random images, as a file takes them."""
    import torch

    count = entry.batch if isinstance(entry.batch, int) else NOISE
    seeded = torch.Generator().manual_seed(0)
    images = torch.rand(count, entry.channels, entry.height, entry.width, generator=seeded)
    return feed(entry, images, dtype)


def _ending(
    module: torch.nn.Module, keys: tuple[Key, ...], fed: torch.Tensor, own: torch.Tensor
) -> tuple[Ending, Head]:
    """The function that computes the scores, checked against what the file itself answers, and its head.

    Args:
        module: the file's.
        keys: where the output is in what the module returns.
        fed: noise, as the file takes it.
        own: the file's answer to it, [N, K].
    """
    found = endings(module, keys)
    linear = any(ending.linear for ending in found)
    for ending in found:
        try:
            scores = ending.run(fed).reshape(own.shape)
        except Exception:  # torch raises many kinds; the module itself still runs
            continue
        if _close(UNDO[ending.bypassed](scores), own):
            return ending, Head(_kind(ending.bypassed, own, linear))
    return Ending(_picking(module, keys), None), Head(_kind(None, own, linear))


def _picking(module: torch.nn.Module, keys: tuple[Key, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The module with one output."""
    return lambda images: pick(module(images), keys)


UNDO: dict[str | None, Callable[[torch.Tensor], torch.Tensor]] = {
    None: lambda scores: scores,
    "softmax": lambda scores: scores.float().softmax(1),
    "log-softmax": lambda scores: scores.float().log_softmax(1),
    "sigmoid": lambda scores: scores.float().sigmoid(),
}
"""What the operator that is left out does to scores [N, K]."""


def _kind(bypassed: str | None, rows: torch.Tensor, linear: bool) -> Kind:
    """The kind of a head by what is left out of it and by its answers [N, K]."""
    single = rows.shape[1] == 1
    if bypassed == "sigmoid":
        return "one sigmoid" if single else "sigmoids"
    if bypassed is not None:
        return "softmax" if bypassed == "softmax" else "log-softmax"
    exact = rows.double()
    inside = bool(((exact >= -SLACK) & (exact <= 1 + SLACK)).all()) and not linear
    if inside and (single or bool(((exact.sum(1) - 1).abs() < SLACK).all())):
        return "one probability" if single else "probabilities"
    return "one logit" if single else "scores"


def _close(some: torch.Tensor, others: torch.Tensor) -> bool:
    import torch

    limit = CLOSE.get(str(others.dtype).removeprefix("torch."), 1e-4)
    return torch.allclose(some.float(), others.float(), rtol=limit, atol=limit)


def _refuse_embedding(rows: torch.Tensor, name: str, head: Head, path: Path, sure: bool) -> None:
    """Refuse features, which have no classes.

    Raises:
        VivavoceError: every row has the length 1, or the name says so and the user does not deny it.
    """
    lengths = rows.double().norm(dim=1)
    if head.kind == "scores" and len(rows) > 1 and bool(((lengths - 1).abs() < SLACK).all()):
        raise VivavoceError(
            f"{path}: gives embeddings, not class scores (every answer has the length 1); they have no "
            "classes without a label bank: give it with --bank BANK.npz"
        )
    if looks_like_embedding(name) and not (sure or head.bypassed):
        raise VivavoceError(
            f"{path}: its output is called {name!r}, as embeddings are, which have no classes; give their "
            f"label bank with --bank BANK.npz or, if it is one of class scores, --output-name {name} or "
            "--classes"
        )


def _names(
    declared: Mapping[str, str], path: Path, classes: str | None, count: int
) -> tuple[str, ...] | None:
    """The names of a file's classes; None: they are not known.

    Raises:
        VivavoceError: there are too many classes, or the user's list has a different length.
    """
    if count > MOST_CLASSES:
        raise VivavoceError(f"{path}: {count:,} classes; at most {MOST_CLASSES:,} are read")
    if classes is None:
        return declared_names(declared, count) or names_beside(path, count)
    names = read_names(Path(classes))
    if len(names) != count:
        raise VivavoceError(f"{classes}: {len(names)} names, but {path.name} has {count} classes")
    return names
