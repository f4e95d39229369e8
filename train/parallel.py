"""Several processes train one model: what `torchrun` starts."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import VivavoceError


@dataclass(frozen=True)
class World:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, judges and speaks."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """Which of n images are this process's."""
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            distributed.barrier()

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model with its gradients averaged over all processes, and on GPUs its batch statistics."""
        if self.size == 1:
            return model
        if device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
            return DistributedDataParallel(model, device_ids=[device.index])
        return DistributedDataParallel(model)

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[World, torch.device]]:
    """Join the processes that `torchrun` started, and part from them at the end; alone without it.

    What was wrapped must not outlive the block: it holds the group, and the threads of a group that
    still stands when the interpreter ends abort the process.

    Yields:
        This process's place among all, and its device: each gets a GPU of its own.

    Raises:
        VivavoceError: there are fewer GPUs here than processes.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield World(), device
        return
    world = World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise VivavoceError(f"process {local} finds only {torch.cuda.device_count()} GPUs here")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if world.size > 1:
        import_module("torch._dynamo")  # imported later, by the wrapping, it keeps the group alive
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield world, device
    finally:
        if distributed.is_initialized():
            gc.collect()  # a wrapped model refers to itself
            distributed.destroy_process_group()
