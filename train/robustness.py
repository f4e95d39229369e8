"""Accuracy under attack on validation images, after every epoch of adversarial training."""

from __future__ import annotations

import msgspec
import numpy as np
import torch

from .adversarial import Adversarial, Adversary, climb
from .augment import to_unit
from .data import Split
from .model import Contract

IMAGES = 1000
"""Validation images that are attacked after every epoch."""
STEPS = 10
"""Of PGD, on cross-entropy of `scores`, whatever the training climbs."""
BATCH = 256


def robust_accuracies(
    contract: Contract, adversary: Adversary, part: Split, device: torch.device, precision: str
) -> dict[str, float]:
    """Accuracy under attack on the first images of a part, for `Epoch`, in evaluation mode.

    Args:
        contract: the network that is judged, and its labels.
        adversary: the training's attack, for its ball and its way to scores.
        part: images uint8 [N, 3, H, W] and classes.
        device: where the network is.
        precision: of the network, `float32` or `bfloat16`.

    Returns:
        `robust_accuracy` under PGD, and for training on single steps `single_step_accuracy`.
    """
    contract.eval()
    chosen = part.subset(np.arange(min(IMAGES, len(part))))
    pgd = msgspec.structs.replace(adversary.plan, method="pgd", steps=STEPS)
    plans = {"robust_accuracy": pgd}
    if adversary.plan.method == "fgsm":
        plans["single_step_accuracy"] = msgspec.structs.replace(pgd, steps=1)
    return {
        name: _accuracy(contract, plan, chosen, device, precision == "bfloat16")
        for name, plan in plans.items()
    }


def _accuracy(contract: Contract, plan: Adversarial, part: Split, device: torch.device, half: bool) -> float:
    def scores(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            output = contract.model(images)
        return contract.scores(output.float())

    right, chance = 0, torch.Generator().manual_seed(0)
    for first in range(0, len(part), BATCH):
        images = to_unit(torch.from_numpy(part.images[first : first + BATCH]).to(device))
        classes = torch.from_numpy(part.classes[first : first + BATCH]).to(device)
        noise = plan.epsilon * (2 * torch.rand(images.shape, generator=chance) - 1).to(device)
        if plan.steps == 1:
            noise = torch.zeros_like(noise)

        def loss(moved: torch.Tensor, classes: torch.Tensor = classes) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(scores(moved), classes)

        moved = climb(loss, images, noise, plan)
        with torch.no_grad():
            right += int((scores(moved).argmax(1) == classes).sum())
    return right / len(part)
