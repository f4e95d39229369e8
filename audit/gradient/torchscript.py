"""The input gradient of a TorchScript module, from torch itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class TorchScriptGradient:
    """Loss and its gradient with respect to the image; the twin of `InputGradient`.

    Args:
        module: contract module, image to `(scores, label, loss)` or `(scores,)`.
        loss: `cross-entropy` on scores, or `smooth-l1` (mean over entries, beta 1) to the class's bank row.
        device: `cpu` or `cuda`.
    """

    def __init__(self, module: torch.jit.ScriptModule, loss: str, device: str = "cpu") -> None:
        self.module, self.loss, self.device = module, loss, device

    def __call__(self, images: np.ndarray, goals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Map images [N, C, H, W] and goals [N] to loss [N], gradient [N, C, H, W] and scores [N, K]."""
        import torch
        from torch.nn import functional as F

        image = torch.from_numpy(images).to(self.device).requires_grad_(True)
        classes = torch.from_numpy(goals).to(self.device)
        outputs = self.module(image)
        if self.loss == "smooth-l1":
            loss = outputs[2].gather(1, classes[:, None]).squeeze(1)
        else:
            loss = F.cross_entropy(outputs[0], classes, reduction="none")
        (gradient,) = torch.autograd.grad(loss.sum(), image)
        return loss.detach().cpu().numpy(), gradient.cpu().numpy(), outputs[0].detach().cpu().numpy()
