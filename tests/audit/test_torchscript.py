"""Audits of TorchScript files against those of the same network as an ONNX file."""

import copy
from typing import cast

import numpy as np
import pytest
import torch
from commands import inside
from torch import nn
from torch_files import KINDS, digits_net

from vivavoce.artifacts import open_model
from vivavoce.audit import Settings, robustness
from vivavoce.audit.cli import main
from vivavoce.audit.protocol import resolve
from vivavoce.audit.target import Target

pytestmark = pytest.mark.filterwarnings("ignore")

SETTINGS = Settings(data="digits", protocol=resolve("quick"), limit=24, batch_size=24)


def rows(path, options=None) -> list[int]:
    """Images that are right: clean, and in each row."""
    evaluation = robustness(open_model(path, options), SETTINGS).evaluation
    return [int(evaluation.right.sum()), *(int(o.right.sum()) for o in evaluation.outcomes)]


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """The images that each ONNX twin gets right, in float32 and in half precision."""
    folder, found = tmp_path_factory.mktemp("twins"), {}
    for kind in ("float", "half"):
        net, example = copy.deepcopy(digits_net()), torch.rand(2, 3, 32, 32)
        net, example = (net.half(), example.half()) if kind == "half" else (net, example)
        path = folder / f"{kind}.onnx"
        torch.onnx.export(
            net, (example,), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "N"}}
        )
        found[kind] = rows(path)
    return found


SLOW = ("scripted-half", "half", "hwc", "fixed-batch", "dict", "softmax", "nhwc")


@pytest.mark.parametrize("name", ["flow", *(pytest.param(n, marks=pytest.mark.full) for n in SLOW)])
def test_the_figures_are_those_of_the_onnx_file(name, twins, tmp_path):
    kind = KINDS[name]
    found = rows(kind.save(tmp_path / "m.pt"), kind.options)
    np.testing.assert_allclose(found, twins["half" if "half" in name else "float"], atol=1)


def test_int8_torchscript_against_the_float_file(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()
    small = torch.ao.quantization.quantize_dynamic(net, {nn.Linear})
    for name, module in (("float", net), ("int8", small)):
        made = torch.jit.trace(module, torch.rand(1, 3, 8, 8))
        torch.jit.save(cast(torch.jit.ScriptModule, made), str(tmp_path / f"{name}.pt"))
    files = (tmp_path / "float.pt", tmp_path / "int8.pt")
    options = ("--data", "digits", "--limit", 4)
    done = inside(main, "quantize-check", files[0], *options)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "torch.onnx.export, or give the int8 file as well" in done.stderr
    done = inside(main, "quantize-check", *files, *options)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "int8.pt" in done.stderr
    assert "--trust-model" in done.stderr
    done = inside(main, "quantize-check", *files, *options, "--trust-model")
    assert done.returncode in (0, 1), done.stderr
    assert "int8.pt" in done.stdout.splitlines()[-1]


class Sign(nn.Module):
    def forward(self, x):
        return torch.sign(x)


@pytest.mark.parametrize(("last", "flat"), [(Sign(), True), (nn.ReLU(), False)])
def test_where_all_gradients_vanish_square_gets_all_its_queries(tmp_path, last, flat):
    parts = list(digits_net())
    torch.jit.script(nn.Sequential(*parts[:3], last, *parts[4:]).eval()).save(tmp_path / "m.pt")
    target = Target(open_model(tmp_path / "m.pt"))
    target.try_gradient(np.random.default_rng(0).random((4, 3, 32, 32), dtype=np.float32))
    assert target.gradient_missing is None
    assert target.flat == flat
    attacks = resolve("fast").fitted(target).attacks
    assert ("square" in attacks, "square-300" in attacks) == (flat, not flat)
    assert "apgd-pm" in attacks
