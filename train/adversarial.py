"""Adversarial training: the settings, the attack on a batch, and the loss of TRADES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ..artifacts import LabelBank
from ..errors import VivavoceError
from ..images.sizes import read_size, short_size
from .model import Classifier, LabelAnswers

METHODS = ("pgd", "fgsm", "trades")
LOSSES = ("scores", "smooth-l1")
TRADES_WEIGHT = 6.0
"""Of the divergence in TRADES (Zhang et al. 2019, their 1/lambda for CIFAR-10)."""
NOISE = 2.0
"""N-FGSM: half-width of the noise, in epsilons (de Jorge et al. 2022)."""
Answer = Callable[[Tensor], Tensor]
"""From images float32 [N, 3, H, W] in 0..1 to the network's output."""


class Adversarial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a run makes its adversarial images."""

    method: Literal["pgd", "fgsm", "trades"]
    epsilon: float
    """Half-width of the l-infinity ball, in units of 0..1."""
    steps: int
    loss: Literal["scores", "smooth-l1"] = "scores"
    """What `pgd` and `fgsm` climb: cross-entropy on `scores`, or smooth L1 to the label."""

    def __str__(self) -> str:
        """As the manifest says it."""
        climbed = "" if self.loss == "scores" else f" on {self.loss}"
        return f"adversarial {self.method}{climbed} at {short_size(self.epsilon)}, steps {self.steps}"


def make_adversarial(
    method: str | None = None, epsilon: str | None = None, steps: int | None = None, loss: str | None = None
) -> Adversarial | None:
    """Check and resolve what a user chose.

    Args:
        method: of `METHODS`; None: ordinary training, which none of the others is for.
        epsilon: a number or a fraction such as `8/255`; None: 8/255.
        steps: None: 1 for `fgsm`, 7 for `pgd`, 10 for `trades`.
        loss: of `LOSSES`; None: `scores`.

    Raises:
        VivavoceError: a choice that does not exist, does not fit, or is out of range.
    """
    if method is None:
        given = {"epsilon": epsilon, "steps": steps, "loss": loss}
        for name in (name for name, value in given.items() if value is not None):
            raise VivavoceError(f"--adversarial-{name} needs --adversarial: {', '.join(METHODS)}")
        return None
    if method not in METHODS:
        raise VivavoceError(f"--adversarial {method}: give {', '.join(METHODS)}")
    steps = {"fgsm": 1, "pgd": 7, "trades": 10}[method] if steps is None else steps
    if steps < 1:
        raise VivavoceError(f"--adversarial-steps {steps}: give at least 1")
    if method == "fgsm" and steps != 1:
        raise VivavoceError(f"--adversarial-steps {steps}: fgsm takes 1 step; pgd takes more")
    if loss not in (None, *LOSSES):
        raise VivavoceError(f"--adversarial-loss {loss}: give {' or '.join(LOSSES)}")
    if method == "trades" and loss == "smooth-l1":
        raise VivavoceError("--adversarial-loss smooth-l1 is for pgd and fgsm; trades has its own loss")
    return msgspec.convert(
        {
            "method": method,
            "epsilon": _size("8/255" if epsilon is None else epsilon),
            "steps": steps,
            "loss": "scores" if loss is None else loss,
        },
        Adversarial,
    )


def _size(text: str) -> float:
    epsilon = read_size(text, "--adversarial-epsilon")
    if not 0 < epsilon < 1:
        raise VivavoceError(f"--adversarial-epsilon {text}: must be above 0 and below 1")
    return epsilon


class Adversary:
    """Makes adversarial images of a batch, and the loss on them.

    Args:
        plan: how.
        model: the network.
        bank: its labels; None: logits.
        device: where the network is.
    """

    def __init__(
        self, plan: Adversarial, model: Classifier, bank: LabelBank | None, device: torch.device
    ) -> None:
        self.plan, self.model = plan, model
        self.answers = LabelAnswers(bank).to(device) if bank else None

    def scores(self, output: Tensor) -> Tensor:
        """Map the network's output to scores [N, K]."""
        return output if self.answers is None else self.answers.scores(output)

    def noise(self, shape: torch.Size, chance: torch.Generator) -> Tensor:
        """Where the attacks on a batch start, drawn on the CPU so that every device sees the same."""
        uniform = 2 * torch.rand(shape, generator=chance) - 1
        half = {"fgsm": NOISE, "pgd": 1.0, "trades": 0.1}[self.plan.method]
        return uniform * half * self.plan.epsilon

    def attack(self, answer: Answer, images: Tensor, classes: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images of a batch, in the range of pixels; batch statistics are left as they are.

        `pgd` steps by the sign of the gradient and stays in the ball (Madry et al. 2018); `fgsm` is N-FGSM,
        one step of epsilon from wide noise, not clipped to the ball (de Jorge et al. 2022).
        """
        plan = self.plan
        with untracked(self.model):
            if plan.method == "trades":
                with torch.no_grad():
                    calm = F.softmax(self.scores(answer(images)), 1)
                return climb(lambda x: self._divergence(answer(x), calm), images, noise, plan)
            return climb(lambda x: self._objective(answer(x), classes), images, noise, plan)

    def combined(self, answer: Answer, images: Tensor, attacked: Tensor) -> tuple[Tensor, Tensor]:
        """For TRADES: the output for clean images, and the weighted divergence of the adversarial ones'."""
        clean, moved = answer(torch.cat([images, attacked])).chunk(2)
        return clean, TRADES_WEIGHT * self._divergence(moved, F.softmax(self.scores(clean), 1))

    def _objective(self, output: Tensor, classes: Tensor) -> Tensor:
        if self.answers is not None and self.plan.loss == "smooth-l1":
            return F.smooth_l1_loss(output, self.answers.label_bank[classes])
        return F.cross_entropy(self.scores(output), classes)

    def _divergence(self, output: Tensor, calm: Tensor) -> Tensor:
        return F.kl_div(F.log_softmax(self.scores(output), 1), calm, reduction="batchmean")


def climb(loss: Callable[[Tensor], Tensor], images: Tensor, noise: Tensor, plan: Adversarial) -> Tensor:
    """Images moved by signs of the gradient of `loss`, from images plus noise."""
    single = plan.method == "fgsm"
    size = plan.epsilon * (1.0 if single else min(2.5 / plan.steps, 1.25))
    moved = (images + noise).clamp(0, 1)
    for _ in range(plan.steps):
        moved.requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(moved), moved)
        moved = moved.detach() + size * gradient.sign()
        if not single:
            moved = images + (moved - images).clamp(-plan.epsilon, plan.epsilon)
        moved = moved.clamp(0, 1)
    return moved


@contextmanager
def untracked(model: nn.Module) -> Iterator[None]:
    """Batch normalisation as in training, but its running statistics do not follow."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
