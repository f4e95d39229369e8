"""Small and middling networks of each family, and their export."""

import functools
import itertools
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

K = 10


class Block(nn.Module):
    """Basic residual block."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
            nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o),
        )  # fmt: skip
        short = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        self.short = nn.Identity() if stride == 1 and i == o else short

    def forward(self, x):
        return torch.relu(self.body(x) + self.short(x))


def resnet(n: int) -> nn.Sequential:
    """ResNet-(6n+2) up to its 64 features."""
    widths = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
    blocks = [
        Block(i if k == 0 else o, o, stride if k == 0 else 1) for i, o, stride in widths for k in range(n)
    ]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AvgPool2d(8), nn.Flatten())


class LabelModel(nn.Module):
    """Encoder, label decoder and a head that scores by the distance to each label of a bank."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.encoder = resnet(n)
        self.dense = nn.Sequential(nn.BatchNorm1d(64), nn.LeakyReLU(), nn.Linear(64, 64))
        layers, widths = [], [64, 64, 32, 16, 8, 1]
        for k, (i, o) in enumerate(itertools.pairwise(widths)):
            layers += [nn.ConvTranspose2d(i, o, 4, 1 if k == 0 else 2, 0 if k == 0 else 1)]
            layers += [nn.BatchNorm2d(o), nn.LeakyReLU()] if o > 1 else []
        self.decoder = nn.Sequential(*layers)
        self.register_buffer("label_bank", torch.randn(K, 64, 64))

    def label(self, x):
        return self.decoder(self.dense(self.encoder(x))[:, :, None, None]).reshape(-1, 64, 64)

    def forward(self, x):
        label, bank = self.label(x).flatten(1), self.get_buffer("label_bank").flatten(1)
        centre = bank.mean(0)
        label, bank = label - centre, bank - centre
        scores = (2 * label @ bank.T - (bank * bank).sum(1)) / bank.shape[1] * 8
        return scores, self.label(x) if not torch.onnx.is_in_onnx_export() else (label + centre).reshape(
            -1, 64, 64
        )


class VGG(nn.Sequential):
    """Convolutions (a width each), pooling that tiles (0), and a dropout that does nothing."""

    def __init__(self, *widths: int) -> None:
        layers, i = [], 3
        for o in widths:
            if o:
                layers += [nn.Conv2d(i, o, 3, 1, 1), nn.BatchNorm2d(o), nn.ReLU()]
                i = o
            else:
                layers += [nn.MaxPool2d(2)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(i, K))


class Attention(nn.Module):
    """Self-attention written out."""

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, d))


class ViT(nn.Module):
    """Small vision transformer with a class token."""

    def __init__(self, d: int = 32, depth: int = 2, heads: int = 2, patch: int = 8) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, d, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, d) * 0.02)
        self.position = nn.Parameter(torch.randn(1, (32 // patch) ** 2 + 1, d) * 0.02)
        self.layers = nn.ModuleList(
            nn.ModuleList([nn.LayerNorm(d), Attention(d, heads), nn.LayerNorm(d),
                           nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))])
            for _ in range(depth)
        )  # fmt: skip
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, K)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        for layer in self.layers:
            norm1, attention, norm2, mlp = layer.children()
            x = x + attention(norm1(x))
            x = x + mlp(norm2(x))
        return self.head(self.norm(x)[:, 0])


class MobileBlock(nn.Module):
    """Depthwise convolution with squeeze and excitation, hard activations."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(nn.Conv2d(c, c, 5, 2, 2, groups=c), nn.BatchNorm2d(c), nn.Hardswish())
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, 8, 1), nn.ReLU6(), nn.Conv2d(8, c, 1), nn.Hardsigmoid()
        )

    def forward(self, x):
        x = self.depthwise(x)
        return x * self.squeeze(x)


NETWORKS = {
    "resnet": lambda: nn.Sequential(resnet(1), nn.Linear(64, K)),
    "resnet32": lambda: nn.Sequential(resnet(5), nn.Linear(64, K)),
    "label": lambda: LabelModel(1),
    "label32": lambda: LabelModel(5),
    "vgg": lambda: VGG(16, 0, 32, 0, 32, 0),
    "vgg19": lambda: VGG(*[64] * 2, 0, *[128] * 2, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0),
    "vit": ViT,
    "vit192": lambda: ViT(192, 6, 3, 4),
    "mobile": lambda: nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.SiLU(), MobileBlock(16), MobileBlock(16),
                                    nn.Flatten(), nn.Linear(16 * 16, K), nn.LogSoftmax(1)),
    "dense": lambda: nn.Sequential(nn.Conv2d(3, 16, 7, 2, 3), nn.ELU(), nn.MaxPool2d(3, 2, 1),
                                   nn.GroupNorm(4, 16), nn.PReLU(), nn.AvgPool2d(3, 2, 1),
                                   nn.InstanceNorm2d(16, affine=True),
                                   nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReflectionPad2d(1),
                                   nn.Flatten(), nn.Linear(16 * 100, K)),
}  # fmt: skip


@functools.cache
def network(name: str) -> nn.Module:
    """A network in evaluation mode with batch statistics that were really gathered."""
    torch.manual_seed(0)
    module = NETWORKS[name]().train()
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.2)
    with torch.no_grad():
        for _ in range(2):
            module(torch.rand(16, 3, 32, 32))
    return module.eval().requires_grad_(False)


def to_onnx(
    module: nn.Module,
    *,
    dynamo: bool = False,
    dynamic: bool = True,
    opset: int = 18,
    size: int = 32,
    batch: int = 2,
) -> onnx.ModelProto:
    """Export with input `image`, outputs `scores` and, for label models, `label`."""
    example = torch.rand(batch, 3, size, size)
    outputs = ["scores", "label"] if isinstance(module, LabelModel) else ["scores"]
    named = {"input_names": ["image"], "output_names": outputs, "opset_version": opset}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both exporters warn about themselves
        if dynamo:
            shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
            program = torch.onnx.export(
                module, (example,), dynamo=True, verbose=False, dynamic_shapes=shapes, **named
            )
            assert program is not None
            model = program.model_proto
        else:
            axes = {name: {0: "batch"} for name in ["image", *outputs]} if dynamic else None
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                torch.onnx.export(module, (example,), path, dynamo=False, dynamic_axes=axes, **named)
                model = onnx.load(path)
    if isinstance(module, LabelModel) and all(t.name != "label_bank" for t in model.graph.initializer):
        model.graph.initializer.append(
            numpy_helper.from_array(module.get_buffer("label_bank").numpy(), "label_bank")
        )
    return model
