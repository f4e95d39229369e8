"""What a torch file without a manifest takes: its example shows it, or trying sizes does."""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import VivavoceError
from .preprocessing import Preprocessing
from .torch_output import outputs, reason

if TYPE_CHECKING:
    import torch

SIDES = (
    28, 32, 48, 64, 96, 112, 128, 160, 192, 224, 240, 256, 260, 288, 299, 300, 320, 336, 380, 384, 448, 512,
    518,
)  # fmt: skip
"""Usual sides of images, tried where neither the file nor the user says one."""
EXAMPLE_LIMIT = 2**20
"""Bytes of the pickle that describes the example of a trace."""

BATCHES = (1, 2, 4, 8, 16, 32, 64)
"""Batch sizes that are tried for a file that may run only one."""
Sizes = Sequence[int | None]
STORAGE = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
}
"""Types of images, by what a trace calls them."""


class Example(NamedTuple):
    """The image that a module was traced or exported with."""

    sizes: list[int]
    kind: str | None
    """Its type, as torch calls it; None: one that images do not have."""


def example_of(archive: io.BytesIO) -> Example | None:
    """The image that a TorchScript module was traced with.

    The pickle is read with nothing of its own: no function of it is called.

    Returns:
        None for a file that holds no example, or one of several tensors.
    """
    try:
        with zipfile.ZipFile(archive) as members:
            name = next((n for n in members.namelist() if n.split("/", 1)[-1] == "traced_inputs.pkl"), None)
            if name is None or members.getinfo(name).file_size > EXAMPLE_LIMIT:
                return None
            given = _Reader(io.BytesIO(members.read(name))).load()
        tensors = given["forward"]
        (shape, storage), *rest = tensors
        return None if rest else Example([int(size) for size in shape], STORAGE.get(storage))
    except Exception:  # a pickle of something else raises anything
        return None
    finally:
        archive.seek(0)


class _Reader(pickle.Unpickler):
    """Reads only where tensors are and what shape they have."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, *_: (shape, storage)
        if (module, name) == ("torch.jit._pickle", "restore_type_tag"):
            return lambda value, _: value
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        return pid[1]


def guesses(module: torch.nn.Module, options: Preprocessing) -> Iterator[list[list[int]]]:
    """Shapes of one input, without the batch, that a module may take; those of one size at a time."""
    weights = list(module.parameters())
    kernel = next((p for p in weights if p.dim() == 4), None)
    matrix = next((p for p in weights if p.dim() == 2), None)
    channels = 1 if options.channels == "grey" else 3
    sides = [(side, side) for side in SIDES]
    flat: list[list[int]] = []
    if kernel is not None:
        held = kernel.shape[1]
        channels = held if held in (1, 3) and options.channels is None else channels
    elif matrix is not None:
        total = matrix.shape[1]
        flat = [[total]]
        channels = 1 if options.channels is None and total % 3 else channels
        side = math.isqrt(total // channels)
        sides = [(side, side)] if side and side * side * channels == total else sides
    if options.size or options.crop:
        sides = [options.size or (options.crop or 1, options.crop or 1)]
    for height, width in sides:
        first: list[list[int]] = [[channels, height, width]] if options.layout != "nhwc" else []
        last: list[list[int]] = [[height, width, channels]] if options.layout != "nchw" else []
        yield first + last
    yield flat


@dataclass(frozen=True)
class Taken:
    """What a module takes."""

    sizes: Sizes
    """Of its input; with None where it is open."""
    dtype: torch.dtype


def find_input(module: torch.nn.Module, example: Example | None, path: Path, options: Preprocessing) -> Taken:
    """The shape and type of a module's input, whose first size is the batch, unless it takes one image alone.

    Args:
        module: the file's.
        example: what it was traced or exported with.
        path: the file, for messages.
        options: what the user says.

    Raises:
        VivavoceError: nothing shows them, or the file fails on what the options say.
    """
    trial = Trial(module, _types(module, example))
    if example is not None:
        taken = _as_traced(trial, _resized(example.sizes, options), options)
        shown: Sizes = example.sizes
    elif options.size or options.crop:
        groups = list(guesses(module, options))
        shapes = [sizes for group in groups for sizes in group]
        taken = next(filter(None, map(trial.batched, shapes)), None)
        taken = taken or next(filter(None, map(trial.alone, shapes[:-1])), None)
        shown = shapes[0]
    else:
        taken, shown = _usual(trial, guesses(module, options)), []
    if taken is not None:
        return taken
    if shown:
        raise VivavoceError(f"{path}: torch failed on images as {shown}: {trial.trouble}")
    raise VivavoceError(
        f"{path}: nothing in the file says which size its images have, and it fails on the usual sizes "
        f"({trial.trouble}); say which with --size 224"
    )


def _as_traced(trial: Trial, sizes: list[int], options: Preprocessing) -> Taken | None:
    if len(sizes) == 3 and (sizes[0] in (1, 3) or sizes[2] in (1, 3)):
        return trial.alone(sizes)
    return trial.batched(sizes[1:], max(sizes[0], 1))


def _resized(sizes: list[int], options: Preprocessing) -> list[int]:
    """The shape of an example with the size that the user gives."""
    size = options.size or ((options.crop, options.crop) if options.crop else None)
    if size is None or len(sizes) not in (3, 4):
        return sizes
    last = sizes[-1] in (1, 3) and sizes[-3] not in (1, 3)
    return [*sizes[:-3], *size, sizes[-1]] if last else [*sizes[:-2], *size]


def _usual(trial: Trial, groups: Iterator[list[list[int]]]) -> Taken | None:
    """What the only usual size that works is; with open sizes if several do."""
    found: Taken | None = None
    for group in groups:
        taken = next(filter(None, (trial.batched(sizes, 1, (1,)) for sizes in group)), None)
        if taken is None or (found is not None and len(taken.sizes) < 3):
            continue
        if found is not None:
            return Taken([size if size in (None, 1, 3) else None for size in found.sizes], found.dtype)
        found = taken
    return found


class Trial:
    """Runs a module on noise to see what it takes.

    Args:
        module: the file's.
        kinds: the types that its input may have, likeliest first.
    """

    def __init__(self, module: torch.nn.Module, kinds: list[torch.dtype]) -> None:
        self.module, self.kinds, self.device = module, kinds, device_of(module)
        self.trouble = ""
        """Why the first run that failed did."""

    def batched(self, sizes: list[int], first: int = 1, counts: tuple[int, ...] = BATCHES) -> Taken | None:
        """The input if images of these sizes run in a batch; `first` is the likeliest size of one."""
        for kind in self.kinds:
            for count in dict.fromkeys((first, *counts)):
                if self._runs([count, *sizes], kind, count):
                    free = all(self._runs([n, *sizes], kind, n) for n in (1, 3) if n != count)
                    return Taken([None if free else count, *sizes], kind)
        return None

    def alone(self, sizes: list[int]) -> Taken | None:
        """The input if one image of these sizes runs without a batch."""
        return next((Taken([*sizes], kind) for kind in self.kinds if self._runs(sizes, kind, None)), None)

    def _runs(self, shape: list[int], kind: torch.dtype, count: int | None) -> bool:
        import torch

        noise = torch.rand(shape) * (1 if kind.is_floating_point else 255)
        try:
            found = list(outputs(self.module(noise.to(self.device, kind))))
        except Exception as error:  # a module of unknown origin raises anything
            self.trouble = self.trouble or reason(error)
            return False
        rows = [one.tensor.shape[0] if one.tensor.dim() else 0 for one in found]
        fits = bool(rows) if count is None else count in rows
        self.trouble = self.trouble or ("" if fits else "its outputs do not have one row for each image")
        return fits


def _types(module: torch.nn.Module, example: Example | None) -> list[torch.dtype]:
    """The types that a module's input may have: that of its example, or float32 and that of its weights."""
    import torch

    if example is not None and example.kind:
        return [getattr(torch, example.kind)]
    weights = [p.dtype for p in module.parameters() if p.is_floating_point()]
    return list(dict.fromkeys([torch.float32, *weights[:1]]))


def device_of(module: torch.nn.Module) -> torch.device:
    """Where a module's weights are."""
    import torch

    return next((p.device for p in module.parameters()), torch.device("cpu"))
