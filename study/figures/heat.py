"""Grad-CAM (Selvaraju et al. 2017): which part of an image a network's decision hangs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...train.model import Contract


def grad_cam(
    contract: Contract, layers: Sequence[nn.Module], images: Tensor
) -> tuple[list[np.ndarray], np.ndarray]:
    """Maps of what speaks for the decided class.

    A layer's map is the sum of its channels, each weighted with the mean over its places of the gradient of a
    scalar, less what is negative. The scalar is the logit of the decided class; of a label model minus the
    mean smooth L1 between the predicted label and that class's.

    Args:
        contract: the network and its labels.
        layers: modules of it whose outputs are maps [N, C, h, w].
        images: [N, 3, H, W] in 0..1.

    Returns:
        For each layer float32 [N, h, w], at least 0; and the decided classes, int64 [N].
    """
    contract.eval()
    seen: list[Tensor] = []

    def look(module: nn.Module, given: Any, maps: Tensor) -> None:
        seen.append(maps)

    hooks = [layer.register_forward_hook(look) for layer in layers]
    try:
        with torch.enable_grad():
            outputs = contract(images)
            decided = outputs[0].argmax(1)
            speaking = outputs[0] if len(outputs) == 1 else -outputs[2]
            # An image's scalar depends on that image alone, so the sum's gradient is each one's own.
            scalar = speaking.gather(1, decided[:, None]).sum()
            gradients = torch.autograd.grad(scalar, seen)
    finally:
        for hook in hooks:
            hook.remove()
    weighted = [
        ((gradient.mean((2, 3), keepdim=True) * maps).sum(1)).relu().detach().numpy()
        for maps, gradient in zip(seen, gradients, strict=True)
    ]
    return weighted, decided.numpy()
