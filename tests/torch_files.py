"""A network of the digits as TorchScript files of many kinds, with the network that each computes."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float

SIZE = Preprocessing(size=(32, 32))


@functools.cache
def digits_net() -> nn.Sequential:
    """Random convolutions, and the least squares from them to the digits: most are right."""
    torch.manual_seed(0)
    front = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.Flatten()
    )
    images, entry = open_images("digits"), open_model("digits-category").manifest.input
    some = np.arange(0, len(images), 3)
    with torch.no_grad():
        features = front(torch.from_numpy(to_float(images.pixels(some, Fit.of(entry))))).double()
        wanted = torch.eye(10).double()[torch.from_numpy(images.labels[some])] * 2 - 1
        kernel = features @ features.T + 0.1 * torch.eye(len(some))
        head = nn.Linear(features.shape[1], 10)
        head.weight.copy_(5 * (features.T @ torch.linalg.solve(kernel, wanted)).T)
        head.bias.zero_()
    return nn.Sequential(*front, head).eval().requires_grad_(True)


class Around(nn.Module):
    """A network and what a function makes of it and an image."""

    def __init__(self, net: nn.Module, forward: Callable[[nn.Module, torch.Tensor], Any]) -> None:
        super().__init__()
        self.net, self.function = net, forward

    def forward(self, x):
        return self.function(self.net, x)


class Flow(nn.Module):
    """Control flow that the data decide, with a softmax at each end."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        y = self.net(x)
        if float(y.abs().max()) > 1e6:
            return torch.softmax(y / 2, 1)
        else:
            return torch.softmax(y, 1)


@dataclass
class Kind:
    """One kind of file."""

    make: Callable[[nn.Sequential], nn.Module]
    head: str
    """The kind of head that is found."""
    example: torch.Tensor = field(default_factory=lambda: torch.rand(2, 3, 32, 32))
    scripted: bool = False
    options: Preprocessing | None = None

    def save(self, path: Path) -> Path:
        """Write the file; a `.pt2` with an open batch."""
        module = self.make(digits_net())
        if path.suffix == ".pt2":
            batched = ({0: torch.export.Dim.DYNAMIC} if self.example.dim() == 4 else None,)
            torch.export.save(torch.export.export(module, (self.example,), dynamic_shapes=batched), path)
            return path
        made = (
            torch.jit.script(module)
            if self.scripted
            else torch.jit.trace(module, self.example, check_trace=False, strict=False)
        )
        cast(torch.jit.ScriptModule, made).save(str(path))
        return path


def _half(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).half()


def _parts(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    y = net(x)
    return {"features": y[:, :4], "probabilities": y.softmax(1), "label": y.argmax(1)}


KINDS = {
    "traced": Kind(lambda net: net, "scores"),
    "scripted": Kind(lambda net: net, "scores", scripted=True, options=SIZE),
    "softmax": Kind(lambda net: nn.Sequential(net, nn.Softmax(1)), "softmax"),
    "scripted-log-softmax": Kind(
        lambda net: nn.Sequential(net, nn.LogSoftmax(1)), "log-softmax", scripted=True, options=SIZE
    ),
    "log-of-softmax": Kind(lambda net: Around(net, lambda n, x: n(x).softmax(1).log()), "log-softmax"),
    "sigmoids": Kind(lambda net: nn.Sequential(net, nn.Sigmoid()), "sigmoids"),
    "flow": Kind(Flow, "softmax", scripted=True, options=SIZE),
    "half": Kind(_half, "scores", torch.rand(2, 3, 32, 32).half()),
    "scripted-half": Kind(
        lambda net: nn.Sequential(_half(net), nn.Softmax(1)), "softmax", scripted=True, options=SIZE
    ),
    "double": Kind(lambda net: copy.deepcopy(net).double(), "scores", torch.rand(2, 3, 32, 32).double()),
    "dict": Kind(lambda net: Around(net, _parts), "softmax"),
    "nested": Kind(lambda net: Around(net, lambda n, x: (n(x).argmax(1), (n(x), x))), "scores"),
    "rank-4": Kind(lambda net: Around(net, lambda n, x: n(x)[:, :, None, None].softmax(1)), "softmax"),
    "nhwc": Kind(
        lambda net: Around(net, lambda n, x: n(x.permute(0, 3, 1, 2))), "scores", torch.rand(1, 32, 32, 3)
    ),
    "hwc": Kind(
        lambda net: Around(net, lambda n, x: n(x.permute(2, 0, 1)[None])[0]), "scores", torch.rand(32, 32, 3)
    ),
    "fixed-batch": Kind(
        lambda net: Around(net, lambda n, x: n(x.reshape(4, 3, 32, 32))), "scores", torch.rand(4, 3, 32, 32)
    ),
    "bytes": Kind(
        lambda net: Around(net, lambda n, x: n(x.to(torch.float32) / 255)),
        "scores",
        torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8),
    ),
    "clamped": Kind(
        lambda net: Around(net, lambda n, x: n(x).softmax(1).clamp(1e-9, 1)), "probabilities"
    ),
}  # fmt: skip
"""Files whose decisions are those of `digits_net`."""
