"""Activation functions. Where the derivative jumps, it is taken as torch takes it (0 at a Relu's 0)."""

from __future__ import annotations

import math

from ...artifacts.front import LEAKY, WHOLE
from .. import layout
from ..errors import MissingRule
from ..value import Value
from .gates import hard_slope
from .registry import Gradients, Node, rule

LEAK = 1e-6
"""Slope that is added where a predicted bit may be saturated."""


@rule("Relu")
def relu(node: Node, dy: Value) -> Gradients:
    """y = max(x, 0); dx = dy where y > 0, else 0.

    The mask is read from the output: a second reader of the input would keep onnxruntime from
    fusing the Relu into the convolution before it.
    """
    return dy * layout.step(node.y)


@rule("LeakyRelu")
def leaky_relu(node: Node, dy: Value) -> Gradients:
    """y = x where x > 0, else a x; dx = dy where x > 0, else a dy. For a > 0, x > 0 means y > 0."""
    slope = node.number("alpha", 0.01)
    if 0 <= slope < 1:
        return dy * layout.step(node.y, slope)
    return node.x.compare("Greater", 0.0).where(dy, dy * slope)


@rule("PRelu")
def prelu(node: Node, dy: Value) -> Gradients:
    """y = x where x > 0, else s x; dx = dy where x > 0, else s dy; ds = 0 where x > 0, else x dy."""
    x, slope = node.input(0), node.input(1)
    positive = x.compare("Greater", 0.0)
    return [positive.where(dy, dy * slope), positive.where(0.0, dy * x).sum_to(slope.shape)]


@rule("ThresholdedRelu")
def thresholded_relu(node: Node, dy: Value) -> Gradients:
    """y = x where x > a, else 0; dx = dy where x > a, else 0."""
    return node.x.compare("Greater", node.number("alpha", 1.0)).where(dy, 0.0)


@rule("Elu")
def elu(node: Node, dy: Value) -> Gradients:
    """y = x where x > 0, else a (e^x - 1); dx = dy where x > 0, else dy (y + a)."""
    return node.x.compare("Greater", 0.0).where(dy, dy * (node.y + node.number("alpha", 1.0)))


@rule("Selu")
def selu(node: Node, dy: Value) -> Gradients:
    """y = g x where x > 0, else g a (e^x - 1); dx = g dy where x > 0, else dy (y + g a)."""
    alpha = node.number("alpha", 1.67326319217681884765625)
    gamma = node.number("gamma", 1.05070102214813232421875)
    return node.x.compare("Greater", 0.0).where(dy * gamma, dy * (node.y + gamma * alpha))


@rule("Celu")
def celu(node: Node, dy: Value) -> Gradients:
    """y = x where x > 0, else a (e^(x/a) - 1); dx = dy where x > 0, else dy (y / a + 1)."""
    return node.x.compare("Greater", 0.0).where(dy, dy * (node.y * (1 / node.number("alpha", 1.0)) + 1))


@rule("Clip")
def clip(node: Node, dy: Value) -> Gradients:
    """y = min(max(x, lo), hi); dx = dy where lo <= x <= hi, else 0."""
    low = node.input(1) if node.has(1) else None
    high = node.input(2) if node.has(2) else None
    if any(bound is not None and bound.array is None for bound in (low, high)):
        raise MissingRule("its bounds are computed from the image")
    if low is not None:
        dy = node.x.compare("Less", low).where(0.0, dy)
    if high is not None:
        dy = node.x.compare("Greater", high).where(0.0, dy)
    return [dy]


@rule("Sigmoid")
def sigmoid(node: Node, dy: Value) -> Gradients:
    """y = 1 / (1 + e^(-x)); dx = dy y (1 - y), for predicted bits with a leak."""
    return dy * _leaking(node, node.y * (1 - node.y))


@rule("HardSigmoid")
def hard_sigmoid(node: Node, dy: Value) -> Gradients:
    """y = min(max(a x + b, 0), 1); dx = a dy where 0 < y < 1, else 0."""
    return layout.inside(node.y, 0.0, 1.0).where(dy * node.number("alpha", 0.2), 0.0)


@rule("HardSwish")
def hard_swish(node: Node, dy: Value) -> Gradients:
    """y = x h(x), h = min(max(x/6 + 1/2, 0), 1); dx = dy (h + x h'), h' = 1/6 where -3 < x < 3, else 0."""
    gate = layout.activated(node.x, "HardSigmoid", (1 / 6, 0.5))
    return dy * hard_slope(node.x, gate, 1 / 6)


@rule("Swish")
def swish(node: Node, dy: Value) -> Gradients:
    """y = x s, s = sigmoid(a x); dx = dy (s + a y (1 - s))."""
    alpha = node.number("alpha", 1.0)
    gate = (node.x * alpha).map("Sigmoid")
    return dy * (gate + node.y * (1 - gate) * alpha)


@rule("Mish")
def mish(node: Node, dy: Value) -> Gradients:
    """y = x t, t = tanh(softplus(x)); dx = dy (t + x (1 - t^2) sigmoid(x))."""
    gate = node.x.map("Softplus").map("Tanh")
    return dy * (gate + node.x * (1 - gate * gate) * node.x.map("Sigmoid"))


@rule("Tanh")
def tanh(node: Node, dy: Value) -> Gradients:
    """y = tanh x; dx = dy (1 - y^2), for predicted bits with a leak."""
    return dy * _leaking(node, 1 - node.y * node.y)


def _leaking(node: Node, slope: Value) -> Value:
    """The slope of a last activation, with `LEAK` added where it predicts bits.

    In float32 a bit that the network is sure of has no slope at all, and attacks would stand still. So Tramer
    et al. (2020) attack the logits of error-correcting codes.
    """
    return slope + LEAK if node.proto.name.startswith(LEAKY) else slope


@rule("Softplus")
def softplus(node: Node, dy: Value) -> Gradients:
    """y = ln(1 + e^x); dx = dy sigmoid(x)."""
    return dy * node.x.map("Sigmoid")


@rule("Softsign")
def softsign(node: Node, dy: Value) -> Gradients:
    """y = x / (1 + |x|); dx = dy / (1 + |x|)^2."""
    size = 1 + node.x.map("Abs")
    return dy / (size * size)


@rule("Gelu")
def gelu(node: Node, dy: Value) -> Gradients:
    """y = x P(x), P the normal distribution function; dx = dy (P + x p), p its density.

    With approximate="tanh": y = x (1 + t) / 2, t = tanh u, u = c (x + 0.044715 x^3), c = (2/pi)^(1/2);
    dx = dy ((1 + t) / 2 + x (1 - t^2) u' / 2), u' = c (1 + 3 * 0.044715 x^2).
    """
    x = node.x
    if node.text("approximate", "none") == "tanh":
        c = math.sqrt(2 / math.pi)
        square = x * x
        t = (x * (square * (c * 0.044715) + c)).map("Tanh")
        slope = square * (1.5 * c * 0.044715) + c / 2
        return dy * ((t + 1) * 0.5 + x * (1 - t * t) * slope)
    below = (x * math.sqrt(0.5)).map("Erf") * 0.5 + 0.5
    density = (x * x * -0.5).map("Exp") * (1 / math.sqrt(2 * math.pi))
    return dy * (below + x * density)


@rule("Softmax")
def softmax(node: Node, dy: Value) -> Gradients:
    """y_i = e^(x_i) / sum_j e^(x_j); dx = y (dy - sum_j dy_j y_j)."""
    weighted = dy * node.y
    return weighted - node.y * weighted.sum([node.integer("axis", -1) % node.x.rank])


@rule("LogSoftmax")
def log_softmax(node: Node, dy: Value) -> Gradients:
    """y_i = x_i - ln sum_j e^(x_j); dx = dy - e^y sum_j dy_j."""
    return dy - node.y.map("Exp") * dy.sum([node.integer("axis", -1) % node.x.rank])


@rule("Hardmax", "Sign", "Floor", "Ceil", "Round", estimated="straight-through: taken as the identity")
def hard(node: Node, dy: Value) -> Gradients:
    """A step function: its derivative is 0 almost everywhere, which no attack can use.

    Refused, unless a straight-through estimator is wanted (Bengio et al. 2013, section 4):
    Pixels that were rounded for a file that takes whole numbers pass: their steps are as fine as pixels are.
    dx = dy, for Sign as in `jump`.
    """
    if not node.graph.straight_through and not node.proto.name.startswith(WHOLE):
        raise MissingRule("it is a step function, whose derivative is zero almost everywhere; "
                          "only a straight-through estimate is possible")  # fmt: skip
    return jump(node.x, dy) if node.proto.op_type == "Sign" else dy


def jump(x: Value, dy: Value) -> Value:
    """What stands in for the derivative of Sign: dx = dy / (1 + |x| / s)^2, s the mean of |x| in an image.

    That is the slope of the softsign of x / s. The gate |x| <= 1 (Hubara et al. 2016, equation 4) suits
    training. In a file, x can be a sum of hundreds of signs, or never below 1, and the gate would stop all.
    """
    size = x.map("Abs")
    scale = size.reduce("ReduceMean", range(1, x.rank) if x.rank > 1 else [0])
    near = 1.0 / (size / (scale + 1e-12) + 1.0)
    return dy * near * near


@rule("Greater", "GreaterOrEqual", "Less", "LessOrEqual", integers=True, estimated="straight-through")
def comparison(node: Node, dy: Value) -> Gradients:
    """y = 1 where a > b, else 0: (1 + sign(a - b)) / 2. Used for straight-through estimates alone."""
    a, b = node.input(0), node.input(1)
    if a.dtype.kind != "f":
        raise MissingRule("it compares whole numbers")
    sign = 0.5 if node.proto.op_type.startswith("Greater") else -0.5
    da = jump(a - b, dy * sign)
    return [da.sum_to(a.shape), (-da).sum_to(b.shape)]


@rule("And", "Or", "Not", integers=True, estimated="straight-through")
def logical(node: Node, dy: Value) -> Gradients:
    """Truth as the numbers 0 and 1; used for straight-through estimates alone."""
    if node.proto.op_type == "Not":
        return -dy
    return [dy.sum_to(node.input(k).shape) for k in (0, 1)]
