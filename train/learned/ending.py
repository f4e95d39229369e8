"""What a finished run leaves beside the network: its learned bank, and vectors to compare meanings by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...artifacts import LabelBank
from ..augment import to_unit
from ..data import Split, Splits
from ..model import Contract
from ..objectives import Objective
from .labelembed import LabelEmbedding
from .lwal import AdaptiveLabels
from .settings import ObjectiveSettings

BANK = "bank.npz"
VECTORS = "vectors"
"""Subfolder of a run with banks of class vectors: `outputs`, `features`, `embedding`."""
BATCH = 512


def finish(
    settings: ObjectiveSettings,
    bank: LabelBank | None,
    contract: Contract,
    objective: Objective,
    splits: Splits,
    folder: Path,
) -> LabelBank | None:
    """Write the learned bank and the class vectors of a run; return the bank to judge it with.

    Args:
        settings: the objective and its settings.
        bank: the labels at the start; None: logits.
        contract: the network of the best epoch, and its labels.
        objective: the objective as it was then.
        splits: the data.
        folder: of the run.
    """
    outputs, features = mean_answers(contract, splits.train, len(splits.classes))
    if isinstance(objective, AdaptiveLabels):
        if settings.recompute_labels:
            there = np.isin(np.arange(len(splits.classes)), splits.train.classes)
            chosen = torch.from_numpy(there).to(outputs.device)[:, None]
            objective.labels.copy_(torch.where(chosen, outputs, objective.labels))
        bank = objective.bank(bank)
        bank.save(folder / BANK)
    vectors = {"outputs": outputs.flatten(1), "features": features}
    if isinstance(objective, LabelEmbedding):
        vectors["embedding"] = embedded(objective.table.detach())
    (folder / VECTORS).mkdir(exist_ok=True)
    for name, rows in vectors.items():
        LabelBank(name, rows.cpu().numpy(), splits.classes).save(folder / VECTORS / f"{name}.npz")
    return bank


@torch.no_grad()
def mean_answers(contract: Contract, part: Split, count: int) -> tuple[Tensor, Tensor]:
    """Mean output [count, *output shape] and mean feature vector [count, F] of the images of each class.

    In inference mode, each image paired with its own class (the adaptive-label authors' code pairs them in
    different orders for their baselines, whose score is then that of chance). A class without images is 0.
    """
    contract.eval()
    seen: list[Tensor] = []

    def look(module: nn.Module, given: object, features: Tensor) -> None:
        seen.append(features)

    hook = contract.model.encoder.register_forward_hook(look)
    device = next(contract.parameters()).device
    sums: list[Tensor] = []
    shape = torch.Size()
    try:
        for first in range(0, len(part), BATCH):
            images = to_unit(torch.from_numpy(part.images[first : first + BATCH]).to(device))
            belongs = F.one_hot(torch.from_numpy(part.classes[first : first + BATCH]).to(device), count)
            output = contract.model(images)
            shape = output.shape[1:]
            found = [belongs.float().T @ rows for rows in (output.flatten(1), seen.pop())]
            sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
    finally:
        hook.remove()
    number = torch.from_numpy(np.bincount(part.classes, minlength=count)).to(device).clamp(min=1)[:, None]
    outputs, features = (total / number for total in sums)
    return outputs.view(count, *shape), features


def embedded(table: Tensor) -> Tensor:
    """Coordinates [C, C] of the classes in a label embedding's table [C, C].

    Symmetrised, scaled to 0..1, and decomposed: the rows of V sqrt(L), negative eigenvalues taken as 0.
    """
    table = (table + table.T) / 2
    scaled = (table - table.min()) / (table.max() - table.min())
    values, vectors = torch.linalg.eigh(scaled.double())
    return (vectors * values.clamp(min=0).sqrt()).float()
