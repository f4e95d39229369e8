"""How well a model does on one part of the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..artifacts.decoding import THRESHOLD
from .augment import to_unit
from .data import Split
from .model import Contract
from .objectives import Objective


@dataclass(frozen=True)
class Score:
    """How a model does on one part of the data."""

    accuracy: float
    """Nearest-neighbour (or arg-max) accuracy in 0..1."""
    loss: float
    threshold: float | None
    """Share of images whose prediction lies within the threshold of the true label, if asked for."""


@torch.no_grad()
def evaluate(
    contract: Contract,
    objective: Objective,
    part: Split,
    device: torch.device,
    *,
    precision: str = "float32",
    thresholds: bool = False,
    batch: int = 256,
) -> Score:
    """Accuracy and loss on one part, in evaluation mode.

    Args:
        contract: network and labels.
        objective: what measures the loss.
        part: images uint8 [N, 3, H, W] and classes int64 [N].
        device: where the network is.
        precision: of the network, `float32` or `bfloat16`; distances are in float32.
        thresholds: also the threshold accuracy of a label model, which takes its distance to every label.
        batch: images at a time.
    """
    contract.eval()
    right, near, total = 0, 0, 0.0
    for first in range(0, len(part), batch):
        images = to_unit(torch.from_numpy(part.images[first : first + batch]).to(device))
        classes = torch.from_numpy(part.classes[first : first + batch]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            output = contract.model(images)
        output = output.float()
        right += int((contract.scores(output).argmax(1) == classes).sum())
        total += objective(output, classes).item() * len(classes)
        if thresholds and contract.answers:
            near += int((contract.answers.loss(output).gather(1, classes[:, None]) < THRESHOLD).sum())
    threshold = near / len(part) if thresholds and contract.answers else None
    return Score(right / len(part), total / len(part), threshold)
