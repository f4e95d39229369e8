"""A TorchScript module without a manifest, under the contract: from images to scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from .entry import Entry
from .front import bounds
from .head import Head
from .scores import TINY

if TYPE_CHECKING:
    import torch

    from .torch_bank import BankAnswers


class Scorer:
    """Maps images [N, C, H, W] in 0..1 to `(scores [N, K],)`, as the module of a file with a manifest does.

    With a bank, to `(scores, label, loss)`.

    Args:
        entry: how the file takes images.
        dtype: the type it takes them in.
        run: from what it takes to what its head leaves, of any shape.
        head: what to make of that.
        bank: from embeddings [N, D] to scores, label and loss.
    """

    def __init__(
        self,
        entry: Entry,
        dtype: torch.dtype,
        run: Callable[[torch.Tensor], torch.Tensor],
        head: Head,
        bank: BankAnswers | None = None,
    ) -> None:
        self.entry, self.dtype, self.run, self.head, self.bank = entry, dtype, run, head, bank
        self.batch = entry.batch if isinstance(entry.batch, int) else None
        """The only batch size that the file runs; None: any."""

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The scores [N, K] of images, in a tuple, with label and loss if there is a bank."""
        import torch

        size = self.batch or max(len(images), 1)
        parts = [self._part(images[k : k + size], size) for k in range(0, max(len(images), 1), size)]
        rows = parts[0] if len(parts) == 1 else torch.cat(parts)
        return (as_scores(rows, self.head),) if self.bank is None else self.bank(rows)

    def _part(self, images: torch.Tensor, size: int) -> torch.Tensor:
        """What the file gives for at most `size` images, filled up with the last if its batch is fixed."""
        import torch

        count = len(images)
        if 0 < count < size:
            images = torch.cat([images, images[-1:].expand(size - count, -1, -1, -1)])
        with interpreted():
            raw = self.run(feed(self.entry, images, self.dtype))
        return raw.float().reshape(len(images), -1)[:count]


def interpreted() -> AbstractContextManager[None]:
    """Run TorchScript as it is: its optimiser compiles for each shape anew, and gradients are no faster."""
    import torch

    return torch.jit.optimized_execution(False)  # type: ignore[reportPrivateImportUsage]


def as_scores(rows: torch.Tensor, head: Head) -> torch.Tensor:
    """Scores [N, K] on the scale of logits of what a head leaves, [N, K] or [N, 1]."""
    import torch

    if head.kind in ("one logit", "one sigmoid"):
        return torch.cat([-rows / 2, rows / 2], 1)
    if head.kind == "one probability":
        rows = torch.cat([1 - rows, rows], 1)
    return (rows.relu() + TINY).log() if head.logarithms else rows


def feed(entry: Entry, images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Images [N, C, H, W] in 0..1 as a file takes them.

    Whole numbers that are to have a gradient stay floats, whose gradient passes the rounding unchanged.
    """

    def column(values: Sequence[float]) -> torch.Tensor:
        return images.new_tensor(values).reshape(1, -1, 1, 1)

    fed = images * entry.scale if entry.scale != 1 else images
    fed = fed - column(entry.mean) if any(entry.mean) else fed
    fed = fed / column(entry.std) if any(s != 1 for s in entry.std) else fed
    fed = fed.flip(1) if entry.reverse else fed
    fed = fed.permute(0, 2, 3, 1).contiguous() if entry.nhwc else fed
    fed = fed if entry.shape is None else fed.reshape(entry.shape)
    if not entry.whole:
        return fed.to(dtype)
    low, high = bounds(entry) or (None, None)
    whole = (fed + 0.5 if low is None else (fed + 0.5).clamp(low, high)).floor()
    return fed + (whole - fed).detach() if images.requires_grad else whole.to(dtype)
