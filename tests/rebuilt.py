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
    x, sizes = torch.as_tensor(x), np.asarray(shape).tolist()
    return torch.reshape(x, [x.shape[k] if size == 0 else size for k, size in enumerate(sizes)])


def unsqueezed(x, axes):
    x = torch.as_tensor(x)
    for axis in sorted(a % (x.ndim + len(axes)) for a in np.asarray(axes).tolist()):
        x = x.unsqueeze(axis)
    return x


def gathered(x, places, *, axis=0, **_):
    places = torch.as_tensor(places)
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    return torch.reshape(x.index_select(axis, places.reshape(-1)), shape)


def sliced(x, starts, ends, axes, steps=None, **_):
    for start, end, axis in zip(*(np.asarray(a).tolist() for a in (starts, ends, axes)), strict=True):
        x = x.narrow(axis, start % x.shape[axis], min(end, x.shape[axis]) - start % x.shape[axis])
    return x


def converted(x, *, to, **_):
    return x.to({1: torch.float32, 6: torch.int32, 7: torch.int64}[to]) if torch.is_tensor(x) else x


OPERATORS = {
    "Cast": converted,
    "Concat": lambda *xs, axis: torch.cat([torch.as_tensor(x) for x in xs], axis),
    "Constant": lambda *, value: torch.from_numpy(np.array(numpy_helper.to_array(value))),
    "ConstantOfShape": lambda shape, value: torch.full(
        shape.tolist(),
        numpy_helper.to_array(value).item(),
        dtype=torch.from_numpy(np.array(numpy_helper.to_array(value))).dtype,
    ),
    "Conv": conv,
    "Flatten": lambda x, axis=1: x.flatten(axis),
    "Gather": gathered,
    "Identity": lambda x: x,
    "Shape": lambda x: torch.tensor(x.shape),
    "Slice": sliced,
    "Softmax": lambda x, axis=-1: x.softmax(axis),
    "Transpose": lambda x, perm: x.permute(perm),
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
    "ReduceMax": lambda x, axes, keepdims=1, **_: x.amax(np.asarray(axes).tolist(), bool(keepdims)),
    "LeakyRelu": lambda x, alpha=0.01: F.leaky_relu(x, alpha),
    "Relu": F.relu,
    "Squeeze": lambda x, axes: x.squeeze(axes.tolist()),
    "Unsqueeze": unsqueezed,
    "ReduceSum": lambda x, axes, keepdims=1, **_: x.sum(np.asarray(axes).tolist(), bool(keepdims)),
    "ReduceMean": lambda x, axes, keepdims=1, **_: x.mean(np.asarray(axes).tolist(), bool(keepdims)),
}


class Step(nn.Module):
    """One node."""

    def __init__(self, node: onnx.NodeProto) -> None:
        super().__init__()
        self.node = node
        self.options = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def forward(self, *inputs):
        return OPERATORS[self.node.op_type](*inputs, **self.options)


class Rebuilt(nn.Module):
    """From `image` to `scores`; each node is a module of `steps`, so that it can be hooked."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self.graph = part(model, ["scores"], ["image"]).graph
        constants = {t.name: np.array(numpy_helper.to_array(t)) for t in self.graph.initializer}
        arrays = {name: torch.from_numpy(array) for name, array in constants.items()}
        self.names = [name for name, array in arrays.items() if array.is_floating_point()]
        self.weights = nn.ParameterList(nn.Parameter(arrays[name], False) for name in self.names)
        self.others = {name: array for name, array in arrays.items() if name not in self.names}
        self.steps = nn.ModuleList(Step(node) for node in self.graph.node)

    def forward(self, image):
        values = dict(zip(self.names, self.weights, strict=True)) | self.others | {"image": image}
        for node, step in zip(self.graph.node, self.steps, strict=True):
            values[node.output[0]] = step(*(values[name] for name in node.input if name))
        return values["scores"]
