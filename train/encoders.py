"""Image encoders: image -> feature vector."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import VivavoceError
from ..text import suggestion
from .airbench import WIDTHS, Airbench
from .backbones import BACKBONES, Backbone
from .dense import Dense


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; where the shape changes, the shortcut is a 1x1 convolution."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, channels_in, H, W] to [N, channels, H/stride, W/stride]."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet-(6n+2) for small images (He et al. 2016, section 4.2; Chen et al. 2021, tables 3 and 4).

    Widths 16, 32, 64, n blocks each. The shortcut is a convolution, as the label paper's
    parameter counts ask for, not the parameter-free one. Convolutions start normal with standard
    deviation sqrt(2 / (k*k*out)).
    """

    features = 64

    def __init__(self, n: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        shapes = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
        self.stages = nn.Sequential(
            *(
                BasicBlock(width_in if k == 0 else width, width, stride if k == 0 else 1)
                for width_in, width, stride in shapes
                for k in range(n)
            )
        )
        start_convolutions(self)

    @property
    def levels(self) -> tuple[nn.Module, ...]:
        """The layers that end the three stages; their outputs are maps [N, C, h, w]."""
        n = len(self.stages) // 3
        return tuple(self.stages[k * n - 1] for k in (1, 2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images [N, 3, H, W] to features [N, 64]."""
        return torch.flatten(F.adaptive_avg_pool2d(self.stages(self.stem(x)), 1), 1)


class VGG19(nn.Module):
    """VGG19 with batch normalisation for small images (Chen et al. 2021, section 4).

    Sixteen 3x3 convolutions with biases and five halvings; no dense layers of its own.
    """

    features = 512

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width, convolutions in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
            for _ in range(convolutions):
                layers += [nn.Conv2d(before, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2))
        self.stages = nn.Sequential(*layers)
        start_convolutions(self)

    @property
    def levels(self) -> tuple[nn.Module, ...]:
        """The layers that end the first, third and fifth block, before their halvings."""
        halvings = [k for k, layer in enumerate(self.stages) if isinstance(layer, nn.MaxPool2d)]
        return tuple(self.stages[halvings[block] - 1] for block in (0, 2, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images [N, 3, H, W], sides at least 32, to features [N, 512]."""
        return torch.flatten(F.adaptive_avg_pool2d(self.stages(x), 1), 1)


def start_convolutions(module: nn.Module) -> None:
    """Draw the weights of all convolutions from a normal distribution with variance 2 / (k*k*out)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels
            nn.init.normal_(part.weight, 0.0, (2 / fan_out) ** 0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


NAMES = ("resnet8", "resnet20", "resnet32", "vgg19", "airbench", *BACKBONES)
"""Encoders that shells complete."""


def make_encoder(name: str) -> ResNet | VGG19 | Airbench | Backbone | Dense:
    """Build an encoder by name, untrained.

    Args:
        name: `resnet8`, `resnet14`, `resnet32`, ... (any 6n+2 but 50), `vgg19`, or `airbench`, also with
            other widths as `airbench-32-64-128`, for small images; or one of torchvision's in
            `backbones.BACKBONES`, of which `resnet50` is one; or `denseD`, for texts as D features.

    Raises:
        VivavoceError: no such encoder.
    """
    if name in BACKBONES:
        return Backbone(name)
    if name == "vgg19":
        return VGG19()
    if match := re.fullmatch(r"airbench(?:-([1-9]\d{0,3})-([1-9]\d{0,3})-([1-9]\d{0,3}))?", name):
        return Airbench([int(width) for width in match.groups()] if match[1] else WIDTHS)
    if match := re.fullmatch(r"dense([1-9]\d*)", name):
        return Dense(int(match[1]))
    match = re.fullmatch(r"resnet(\d+)", name)
    depth = int(match[1]) if match else 0
    if depth < 8 or (depth - 2) % 6:
        instead = (
            f"give vgg19, airbench (or with widths: airbench-64-256-256), {', '.join(BACKBONES)}, or resnetD "
            "with D = 6n + 2: resnet8, resnet14, resnet32, …"
        )
        near = () if name.startswith(("resnet", "airbench")) else NAMES  # of these, say which there are
        raise VivavoceError(f"no encoder {name!r}; {suggestion(name, near, instead)}")
    return ResNet((depth - 2) // 6)
