"""The input gradient of a TorchScript module, from torch itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import VivavoceError
from .losses import check_rivals, find

if TYPE_CHECKING:
    import torch


class TorchScriptGradient:
    """Loss and its gradient with respect to the image; the twin of `InputGradient`.

    Args:
        module: contract module, image to `(scores, label, loss)` or `(scores,)`.
        loss: a name in `losses.LOSSES`, where the formulas are.
        device: `cpu` or `cuda`.

    Raises:
        VivavoceError: no such loss.
    """

    def __init__(self, module: torch.jit.ScriptModule, loss: str, device: str = "cpu") -> None:
        find(loss)
        self.module, self.loss, self.device = module, loss, device

    def __call__(
        self, images: np.ndarray, goals: np.ndarray, rivals: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Map images [N, C, H, W] and goals [N] to loss [N], gradient [N, C, H, W] and scores [N, K].

        Raises:
            VivavoceError: `rivals` are missing or not wanted, or the model has too few classes.
        """
        import torch

        check_rivals(self.loss, rivals is not None)
        image = torch.from_numpy(images).to(self.device).requires_grad_(True)
        classes = torch.from_numpy(np.asarray(goals, np.int64)).to(self.device)
        others = None if rivals is None else torch.from_numpy(np.asarray(rivals, np.int64)).to(self.device)
        outputs = self.module(image)
        if self.loss == "smooth-l1":
            loss = outputs[2].gather(1, classes[:, None]).squeeze(1)
        else:
            loss = _on_scores(self.loss, outputs[0], classes, others)
        (gradient,) = torch.autograd.grad(loss.sum(), image)
        return loss.detach().cpu().numpy(), gradient.cpu().numpy(), outputs[0].detach().cpu().numpy()


def _on_scores(
    name: str, scores: torch.Tensor, goals: torch.Tensor, rivals: torch.Tensor | None
) -> torch.Tensor:
    """The losses on scores [N, K] of the same names in `losses`: [N]."""
    from torch.nn import functional as F

    if name == "cross-entropy":
        return F.cross_entropy(scores, goals, reduction="none")
    own = scores.gather(1, goals[:, None]).squeeze(1)
    if name == "score":
        return own
    if name == "contrast":
        return own - scores.mean(1)
    if name == "probability":
        return scores.softmax(1).gather(1, goals[:, None]).squeeze(1)
    if name == "log-odds":
        return (scores.scatter(1, goals[:, None], float("-inf")) - own[:, None]).logsumexp(1)
    if name in ("margin", "dlr"):
        gap = scores.scatter(1, goals[:, None], float("-inf")).amax(1) - own
    else:
        assert rivals is not None
        gap = scores.gather(1, rivals[:, None]).squeeze(1) - own
    if name in ("margin", "difference"):
        return gap
    needed = 3 if name == "dlr" else 4
    if scores.shape[1] < needed:
        raise VivavoceError(f"the loss `{name}` needs at least {needed} classes")
    top = scores.topk(needed, dim=1).values
    return gap / (top[:, 0] - top[:, 2:].mean(1) + 1e-12)
