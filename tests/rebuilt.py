"""A shipped model as a torch module, from the operators and weights of its file."""

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional as F

from vivavoce.artifacts.graph import part


def conv(x, w, b=None, *, pads=(0, 0, 0, 0), strides=(1, 1), group=1, **_):
    return F.conv2d(x, w, b, strides, pads[:2], 1, group)


def transposed(x, w, b=None, *, pads=(0, 0, 0, 0), strides=(1, 1), group=1, output_padding=(0, 0), **_):
    return F.conv_transpose2d(x, w, b, strides, pads[:2], output_padding, group)


def normalised(x, scale, shift, mean, variance, *, epsilon=1e-5, **_):
    return F.batch_norm(x, mean, variance, scale, shift, False, 0, epsilon)


def gemm(x, w, b, *, transB=0, **_):
    return x @ (w.T if transB else w) + b


def pooled(x, *, kernel_shape, strides=(1, 1), **_):
    return F.max_pool2d(x, kernel_shape, strides)


def shaped(x, shape, **_):
    return x.reshape([x.shape[k] if size == 0 else size for k, size in enumerate(shape.tolist())])


def unsqueezed(x, axes):
    for axis in sorted(a % (x.ndim + len(axes)) for a in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


OPERATORS = {
    "Conv": conv,
    "ConvTranspose": transposed,
    "BatchNormalization": normalised,
    "Gemm": gemm,
    "Reshape": shaped,
    "MatMul": lambda x, y: x @ y,
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "Div": lambda x, y: x / y,
    "Erf": lambda x: torch.erf(x),
    "MaxPool": pooled,
    "ReduceMax": lambda x, axes, keepdims=1, **_: x.amax(axes.tolist(), bool(keepdims)),
    "LeakyRelu": lambda x, alpha=0.01: F.leaky_relu(x, alpha),
    "Squeeze": lambda x, axes: x.squeeze(axes.tolist()),
    "Unsqueeze": unsqueezed,
    "ReduceSum": lambda x, axes, keepdims=1, **_: x.sum(axes.tolist(), bool(keepdims)),
    "ReduceMean": lambda x, axes, keepdims=1, **_: x.mean(axes.tolist(), bool(keepdims)),
}


class Rebuilt(nn.Module):
    """From `image` to `scores`; each Relu is a module, so that it can be hooked."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self.graph = part(model, ["scores"], ["image"]).graph
        constants = {t.name: np.array(numpy_helper.to_array(t)) for t in self.graph.initializer}
        arrays = {name: torch.from_numpy(array) for name, array in constants.items()}
        self.names = [name for name, array in arrays.items() if array.is_floating_point()]
        self.weights = nn.ParameterList(nn.Parameter(arrays[name], False) for name in self.names)
        self.others = {name: array for name, array in arrays.items() if name not in self.names}
        self.relus = nn.ModuleList(nn.ReLU() for node in self.graph.node if node.op_type == "Relu")

    def forward(self, image):
        values = dict(zip(self.names, self.weights, strict=True)) | self.others | {"image": image}
        relus = iter(self.relus)
        for node in self.graph.node:
            options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            run = next(relus) if node.op_type == "Relu" else OPERATORS[node.op_type]
            values[node.output[0]] = run(*(values[name] for name in node.input if name), **options)
        return values["scores"]
