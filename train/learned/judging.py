"""The test curve of a run: what the adaptive-label paper's figures are made of."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ..augment import to_unit
from ..data import Split
from ..model import Contract
from ..run import Config

BATCH = 512


def judge_epoch(config: Config, contract: Contract, test: Split) -> dict[str, float]:
    """Accuracies on the test part after an epoch, as fields of `history.Epoch`.

    Args:
        config: of the run; without an objective nothing is judged. In training mode the batch is that of
            training.
        contract: the network and its labels.
        test: the whole test part.
    """
    if config.objective is None:
        return {}
    found = {"test_accuracy": accuracy(contract, test, BATCH)}
    if config.objective.train_mode_eval:
        found["test_accuracy_train_mode"] = train_mode_accuracy(contract, test, config.recipe.batch_size)
    return found


def accuracy(contract: Contract, part: Split, batch: int) -> float:
    """Share of images whose nearest label, or largest logit, is their class; inference mode."""
    contract.eval()
    return _share(contract, part, np.arange(len(part)), batch)


def train_mode_accuracy(contract: Contract, part: Split, batch: int) -> float:
    """The same with batch statistics and dropout as in training, on shuffled batches.

    The answer to an image then depends on the others in its batch. Running statistics are left as they were.
    """
    order = np.random.default_rng(0).permutation(len(part))
    before = {name: buffer.clone() for name, buffer in contract.named_buffers()}
    contract.train()
    try:
        return _share(contract, part, order, batch)
    finally:
        contract.eval()
        _restore(contract, before)


@torch.no_grad()
def _share(contract: Contract, part: Split, order: np.ndarray, batch: int) -> float:
    device = next(contract.parameters()).device
    right = 0
    # A last image by itself has no batch statistics: it joins the batch before.
    cuts = [first for first in range(batch, len(order), batch) if first < len(order) - 1]
    for chosen in np.split(order, cuts):
        images = to_unit(torch.from_numpy(part.images[chosen]).to(device))
        classes = torch.from_numpy(part.classes[chosen]).to(device)
        right += int((contract.scores(contract.model(images)).argmax(1) == classes).sum())
    return right / len(order)


@torch.no_grad()
def _restore(module: nn.Module, before: dict[str, torch.Tensor]) -> None:
    for name, buffer in module.named_buffers():
        buffer.copy_(before[name])
