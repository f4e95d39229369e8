"""Sampling at computed places, against differences of onnx's reference and torch's own float64 gradient."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from .conftest import weights_for

rng = np.random.default_rng(12)
x = rng.standard_normal((2, 3, 5, 4)).astype(np.float32)
grid = rng.uniform(-1.3, 1.3, (2, 6, 7, 2)).astype(np.float32)
TORCH = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest"}


def by_torch(mode, padding, aligned):
    def reference(feeds):
        tensors = {k: torch.from_numpy(v).requires_grad_(True) for k, v in feeds.items()}
        y = F.grid_sample(tensors["x"], tensors["xgrid"], TORCH[mode], padding, align_corners=bool(aligned))
        (y * torch.from_numpy(weights_for(tuple(y.shape)))).sum().backward()
        return {k: t.grad.numpy() for k, t in tensors.items() if t.grad is not None}

    return reference


@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_image_and_grid(check_rule, mode, padding, aligned):
    check_rule(
        "GridSample", {"x": x, "xgrid": grid},
        {"mode": mode, "padding_mode": padding, "align_corners": aligned},
        reference=by_torch(mode, padding, aligned), tolerance=1e-5, opset=20,
    )  # fmt: skip


@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_nearest(check_linear, padding, aligned):
    attributes = {"mode": "nearest", "padding_mode": padding, "align_corners": aligned}
    check_linear("GridSample", {"x": x, "grid": grid}, attributes, opset=20)


def test_names_of_opset_16(check_linear):
    check_linear("GridSample", {"x": x, "grid": grid}, {"mode": "bilinear"}, opset=16)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_volumes(check_rule, padding):
    volume = rng.standard_normal((1, 2, 3, 4, 5)).astype(np.float32)
    places = rng.uniform(-1.2, 1.2, (1, 2, 3, 2, 3)).astype(np.float32)
    check_rule(
        "GridSample", {"x": volume, "xgrid": places}, {"mode": "linear", "padding_mode": padding},
        reference=by_torch("linear", padding, 0), tolerance=1e-5, opset=20,
    )  # fmt: skip
