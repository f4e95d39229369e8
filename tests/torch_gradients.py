"""Torch's own gradients of the losses, to compare with."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from networks import K
from torch import nn
from torch.nn import functional as F


def smooth_l1(module: nn.Module, outputs, goals):
    bank = module.get_buffer("label_bank").to(outputs[1].dtype)
    return F.smooth_l1_loss(outputs[1], bank[goals], reduction="none").mean((1, 2))


def scores_of(outputs):
    return outputs[0] if isinstance(outputs, tuple) else outputs


def margin(module: nn.Module, outputs, goals):
    scores = scores_of(outputs)
    own = scores.gather(1, goals[:, None])
    return (scores.scatter(1, goals[:, None], -torch.inf).amax(1, keepdim=True) - own)[:, 0]


def log_odds(module: nn.Module, outputs, goals):
    scores = scores_of(outputs)
    own = scores.gather(1, goals[:, None])
    return (scores.scatter(1, goals[:, None], -torch.inf) - own).logsumexp(1)


def probability_margin(module: nn.Module, outputs, goals):
    p = scores_of(outputs).softmax(1)
    q = p.scatter(1, goals[:, None], 0).amax(1) - p.gather(1, goals[:, None])[:, 0]
    return torch.log((1 + q) / (1 - q))


def dlr(module: nn.Module, outputs, goals):
    top = scores_of(outputs).topk(3).values
    return margin(module, outputs, goals) / (top[:, 0] - top[:, 2])


def difference(module: nn.Module, outputs, goals):
    rivals = (goals + 1) % K
    return (scores_of(outputs).gather(1, rivals[:, None]) - scores_of(outputs).gather(1, goals[:, None]))[
        :, 0
    ]


def targeted_dlr(module: nn.Module, outputs, goals):
    top = scores_of(outputs).topk(4).values
    return difference(module, outputs, goals) / (top[:, 0] - top[:, 2:].mean(1))


TORCH_LOSSES: dict[str, Callable] = {
    "cross-entropy": lambda m, outputs, goals: F.cross_entropy(scores_of(outputs), goals, reduction="none"),
    "smooth-l1": smooth_l1,
    "log-odds": log_odds,
    "margin": margin,
    "probability-margin": probability_margin,
    "score": lambda m, outputs, goals: scores_of(outputs).gather(1, goals[:, None])[:, 0],
    "contrast": lambda m, outputs, goals: (
        scores_of(outputs).gather(1, goals[:, None])[:, 0] - scores_of(outputs).mean(1)
    ),
    "probability": lambda m, outputs, goals: scores_of(outputs).softmax(1).gather(1, goals[:, None])[:, 0],
    "dlr": dlr,
    "difference": difference,  # with the next class as the rival
    "targeted-dlr": targeted_dlr,
}


@dataclass
class Truth:
    """What torch finds, in float64, and how far its own float32 is from that."""

    loss: np.ndarray
    gradient: np.ndarray
    scores: np.ndarray
    error: np.ndarray

    def error_of(self, gradient: np.ndarray) -> np.ndarray:
        """Relative error of each image's gradient; images without one (a constant loss) are left out."""
        exact = self.gradient.reshape(len(self.gradient), -1)
        size = np.linalg.norm(exact, axis=1)
        some = size > 1e-9 * size.max()
        return np.linalg.norm((gradient.reshape(exact.shape) - exact)[some], axis=1) / size[some]

    def check(self, gradient: np.ndarray) -> None:
        """Median at most 1e-5 and, like the largest, at most twice torch float32's own."""
        ours = self.error_of(gradient)
        assert np.median(ours) <= max(1e-5, 2 * np.median(self.error)), (
            np.median(ours),
            np.median(self.error),
        )
        assert ours.max() <= max(1e-5, 2 * self.error.max()), (ours.max(), self.error.max())


def torch_gradient(module: nn.Module, loss: str, images: np.ndarray, goals: np.ndarray) -> Truth:
    """Loss, gradient and scores by autograd."""
    found: dict[torch.dtype, Truth] = {}
    for dtype in (torch.float32, torch.float64):
        module.to(dtype)
        x = torch.from_numpy(images).to(dtype).requires_grad_(True)
        outputs = module(x)
        losses = TORCH_LOSSES[loss](module, outputs, torch.from_numpy(goals))
        losses.sum().backward()
        assert x.grad is not None
        scores = scores_of(outputs).detach().numpy()
        found[dtype] = Truth(losses.detach().numpy(), x.grad.numpy(), scores, np.zeros(0))
    module.float()
    truth = found[torch.float64]
    truth.error = truth.error_of(found[torch.float32].gradient)
    return truth
