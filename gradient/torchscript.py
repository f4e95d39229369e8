"""The input gradient of a TorchScript module, from torch itself."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from ..artifacts.torch_output import reason
from ..errors import VivavoceError
from .agreement import HALF, strayed
from .errors import UnsupportedOperator
from .losses import check_rivals, find

if TYPE_CHECKING:
    import torch

    from ..artifacts.torch_model import TorchModel

Module = Callable[["torch.Tensor"], Sequence["torch.Tensor"]]
NO_DERIVATIVE = re.compile(r"derivative for '?(?:aten::)?(\w+)'? is not implemented")
OVERHEAD = 600_000_000
"""Bytes that Python, numpy and torch take with no model loaded, generously."""
WASTE = 2.0
"""What the backward pass takes, over what the forward pass keeps for it: gradients and buffers."""
WEIGHT_COPIES = 3
"""How often the weights are held: the file, the module, and those packed for the kernels."""


class TorchScriptGradient:
    """Loss and its gradient with respect to the image; the twin of `InputGradient`.

    Args:
        module: contract module, image to `(scores, label, loss)` or `(scores,)`.
        loss: a name in `losses.LOSSES`, where the formulas are; a call may choose another one.
        device: `cpu` or `cuda`.
        rounded: whether the file rounds to half precision where `module` does not.

    Raises:
        VivavoceError: no such loss.
    """

    def __init__(self, module: Module, loss: str, device: str = "cpu", *, rounded: bool = False) -> None:
        find(loss)
        self.module, self.loss, self.device, self.rounded = module, loss, device, rounded
        self.graph_scores = np.zeros((0, 0), np.float32)
        """float32 [N, K]: the module's scores of the last call."""
        self.largest: int | None = None
        """Most images at a time; None: any number."""

    def limit(self, count: int, budget: int) -> None:
        """Compute at most `count` images at a time; that alone bounds the memory, whatever the budget."""
        self.largest = count

    def __call__(
        self,
        images: np.ndarray,
        goals: np.ndarray,
        rivals: np.ndarray | None = None,
        *,
        loss: str | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Map images [N, C, H, W] and goals [N] to loss [N], gradient [N, C, H, W] and scores [N, K].

        Raises:
            UnsupportedOperator: torch has no derivative for an operator.
            VivavoceError: `rivals` are missing or not wanted, or the model has too few classes.
        """
        name, size = loss or self.loss, self.largest or max(len(images), 1)
        check_rivals(name, rivals is not None)
        parts = [slice(k, k + size) for k in range(0, max(len(images), 1), size)]
        found = [self._run(name, images[p], goals[p], None if rivals is None else rivals[p]) for p in parts]
        value, gradient, self.graph_scores = map(np.concatenate, zip(*found, strict=True))
        return value, gradient, self.graph_scores

    def _run(
        self, name: str, images: np.ndarray, goals: np.ndarray, rivals: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Loss, gradient and scores of images that are computed together."""
        import torch

        image = torch.from_numpy(images).to(self.device).requires_grad_(True)
        classes = torch.from_numpy(np.asarray(goals, np.int64)).to(self.device)
        others = None if rivals is None else torch.from_numpy(np.asarray(rivals, np.int64)).to(self.device)
        try:
            outputs = self.module(image)
            if name == "smooth-l1":
                loss = outputs[2].gather(1, classes[:, None]).squeeze(1)
            else:
                loss = _on_scores(name, outputs[0], classes, others)
            (gradient,) = torch.autograd.grad(loss.sum(), image)
        except RuntimeError as error:
            _refuse(error)
        return loss.detach().cpu().numpy(), gradient.cpu().numpy(), outputs[0].detach().cpu().numpy()

    def strayed(self, scores: np.ndarray) -> np.ndarray:
        """Which images of the last call the module scores otherwise than the file, beyond rounding: bool [N].

        Args:
            scores: what the file itself says of those images, float32 [N, K].
        """
        if not self.rounded:  # it is the file's own module
            return np.zeros(len(scores), bool)
        return strayed(self.graph_scores, scores, HALF)


def _refuse(error: RuntimeError) -> NoReturn:
    """Say in one line why torch computed no gradient.

    Raises:
        UnsupportedOperator: it has no derivative for an operator.
        VivavoceError: the scores do not depend on the image, or something else failed.
    """
    if missing := NO_DERIVATIVE.search(str(error)):
        advice = "torch has no derivative for it"
        if "native_multi_head" in missing[1] or "transformer_encoder" in missing[1]:
            advice += "; trace the network with gradients on (outside torch.no_grad()), or export it to .onnx"
        raise UnsupportedOperator(missing[1], missing[1], advice) from error
    if "does not require grad" in str(error) or "not have been used in the graph" in str(error):
        raise VivavoceError(
            "no gradient: the scores do not depend on the image through operators with derivatives"
        ) from error
    raise VivavoceError(f"torch computed no gradient: {reason(error)}") from error


def gradient_of(model: TorchModel, loss: str) -> TorchScriptGradient:
    """The gradient of an opened file."""
    return TorchScriptGradient(
        model.smooth or model.module, loss, model.device, rounded=model.smooth is not None
    )


def batch_size(model: TorchModel, budget_bytes: int, largest: int) -> int:
    """The largest power of two of images whose gradient fits a budget of resident memory, at least 1.

    What the forward pass keeps for the backward pass is counted for one batch and for two of them.

    Args:
        model: the opened file.
        budget_bytes: resident memory of the whole process, in bytes.
        largest: upper bound; larger batches are not faster.
    """
    entry, module = model.manifest.input, model.smooth or model.module
    least = getattr(module, "batch", None) or 1
    sizes = [(k * least, entry.channels, entry.height, entry.width) for k in (1, 2)]
    kept = [_kept(module, shape, model.device) for shape in sizes]
    each = max((kept[1] - kept[0]) / least, 1)
    weights = model.path.stat().st_size
    fitting = int((budget_bytes - OVERHEAD - WEIGHT_COPIES * weights) / (each * WASTE))
    return max(1, min(largest, 1 << max(fitting, 1).bit_length() - 1))


def _kept(module: Module, shape: tuple[int, ...], device: str) -> int:
    """Bytes that the forward pass of images keeps for their gradient."""
    import torch

    held: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = module(torch.zeros(shape, device=device).requires_grad_(True))
    del outputs
    return sum(held.values())


def _on_scores(
    name: str, scores: torch.Tensor, goals: torch.Tensor, rivals: torch.Tensor | None
) -> torch.Tensor:
    """The losses on scores [N, K] of the same names in `losses`: [N]."""
    import torch
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
    if name == "probability-margin":
        others = scores.scatter(1, goals[:, None], float("-inf"))
        first, double = others.argmax(1, keepdim=True), math.log(2)
        above = others.scatter_add(1, first, torch.full_like(own[:, None], double))
        below = scores.scatter_add(1, goals[:, None], torch.full_like(own[:, None], double))
        below = below.scatter(1, first, float("-inf"))
        return (above - own[:, None]).logsumexp(1) - (below - own[:, None]).logsumexp(1)
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
