"""How well a model does on one part of the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..artifacts.decoding import THRESHOLD
from .augment import to_unit
from .data import Part
from .model import Contract
from .objectives import Objective


@dataclass(frozen=True)
class Score:
    """How a model does on one part of the data."""

    accuracy: float
    """Nearest-neighbour (or arg-max) accuracy in 0..1."""
    loss: float
    threshold: float | None
    """Share of images whose prediction lies within the threshold of the true label; label models only."""


@torch.no_grad()
def evaluate(
    contract: Contract, objective: Objective, part: Part, device: torch.device, batch: int = 256
) -> Score:
    """Accuracy, loss and threshold accuracy on one part, in evaluation mode and float32."""
    contract.eval()
    right, near, total = 0, 0, 0.0
    for first in range(0, len(part), batch):
        images = to_unit(torch.from_numpy(part.images[first : first + batch]).to(device))
        classes = torch.from_numpy(part.classes[first : first + batch]).to(device)
        outputs = contract(images)
        right += int((outputs[0].argmax(1) == classes).sum())
        total += objective(outputs[1] if len(outputs) == 3 else outputs[0], classes).item() * len(classes)
        if len(outputs) == 3:
            near += int((outputs[2].gather(1, classes[:, None]) < THRESHOLD).sum())
    threshold = near / len(part) if contract.answers else None
    return Score(right / len(part), total / len(part), threshold)
