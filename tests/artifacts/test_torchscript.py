"""What a TorchScript file may call when it is opened."""

import zipfile
from typing import cast

import pytest
import torch
from networks import network
from torch import nn

from vivavoce.artifacts.torchscript import checked
from vivavoce.errors import VivavoceError

pytestmark = pytest.mark.filterwarnings("ignore")


class Hostile(nn.Module):
    def __init__(self, canary: str):
        super().__init__()
        self.canary = canary

    def forward(self, x):
        torch.save(x, self.canary)
        return x


@pytest.mark.parametrize("name", ["resnet", "label", "vit", "mobile", "dense"])
def test_ordinary_networks_are_opened(name, tmp_path):
    traced = cast(torch.jit.ScriptModule, torch.jit.trace(network(name), torch.rand(2, 3, 32, 32)))
    traced.save(str(tmp_path / "m.pt"))
    again = torch.jit.load(checked(tmp_path / "m.pt", trust=False))
    assert len(list(again.parameters())) == len(list(network(name).parameters()))


class Ordinary(nn.Module):
    """Operators that networks of classes, rather than layers, are made of."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(32, 8, batch_first=True)

    def forward(self, x):
        grid = nn.functional.affine_grid(
            torch.eye(2, 3).expand(len(x), 2, 3), list(x.shape), align_corners=False
        )
        x = nn.functional.grid_sample(x, grid, align_corners=False).clip(0, 1).nan_to_num_()
        x = x.scatter_add(1, torch.zeros_like(x, dtype=torch.long), x).sort(-1)[0].argsort(-1).sinh().floor_()
        x = torch.fft.rfft2(x).real[..., :32] + torch.where(torch.isfinite(x), x.cumprod(-1), x).mean()
        features, _ = self.rnn(x.flatten(1, 2)[..., :32])
        return torch.tensordot(features, torch.ones(8, 10), 1).median(1)[0]


@pytest.mark.parametrize("how", ["traced", "scripted"])
def test_ordinary_operators_are_known(how, tmp_path):
    made = (
        torch.jit.script(Ordinary())
        if how == "scripted"
        else torch.jit.trace(Ordinary(), torch.rand(2, 3, 32, 64))
    )
    cast(torch.jit.ScriptModule, made).save(str(tmp_path / "m.pt"))
    assert torch.jit.load(checked(tmp_path / "m.pt", trust=False))(torch.rand(2, 3, 32, 64)).shape == (2, 10)


def test_code_that_writes_files_is_refused_unless_trusted(tmp_path):
    torch.jit.script(Hostile(str(tmp_path / "canary"))).save(tmp_path / "m.pt")
    with pytest.raises(VivavoceError, match=r"calls torch\.save.*--trust-model"):
        checked(tmp_path / "m.pt", trust=False)
    assert checked(tmp_path / "m.pt", trust=True)
    assert not (tmp_path / "canary").exists()


HOSTILE = [
    "return torch.load('a')",
    "return torch.from_file('a')",
    "f = torch.save\n    return f(x, 'a')",
    "return (x).save('a')",
    "f = (x).from_file\n    return f('a')",
    "return torch.add(x, 1).save('a')",
    "return getattr(x, 'save')('a')",
    "f = getattr(x, 'save')\n    return f('a')",
    "return getattr(torch, 'save')(x)",
    "return ops.evil.run(x)",
    "return ops.aten.save(x, 'a')",
    "return torch._C.run(x)",
    "return __import__('os').system('x')",
    "return open('a')",
    "return __torch__.torch.classes.evil.Run(x)",
    "torch = __torch__\n    return torch.save(x)",
    "return tor\u1d9ch.save(x)",
    "# a\r    torch.save(x)\n    return x",
    "return [torch.save][0](x)",
    "return (lambda y: y)(x)",
    "f = rpc_sync\n    return f(x)",
    "return aten.save(x)",
    "import os\n    return x",
    "return (self).unknown(x)",
]


@pytest.mark.parametrize("body", HOSTILE)
def test_code_that_hides_what_it_calls_is_refused(body, tmp_path):
    path = archive(tmp_path / "m.pt", f"def forward(self, x):\n    {body}\n")
    with pytest.raises(VivavoceError, match="--trust-model") as caught:
        checked(path, trust=False)
    assert "\n" not in str(caught.value)
    assert checked(path, trust=True)


@pytest.mark.parametrize("place", ["m/code/__torch__/deep/a.py", "m/CODE/__torch__.PY", "code/code/a.py"])
def test_code_is_found_wherever_torch_finds_it(place, tmp_path):
    path = archive(tmp_path / "m.pt", "def f(x):\n    return torch.save(x)\n", place)
    with pytest.raises(VivavoceError, match=r"torch\.save"):
        checked(path, trust=False)


def test_a_method_with_the_name_of_a_writer_is_refused(tmp_path):
    code = "def save(self, x):\n    return x\ndef forward(self, x):\n    return (x).save(x)\n"
    with pytest.raises(VivavoceError, match="save"):
        checked(archive(tmp_path / "m.pt", code), trust=False)


@pytest.mark.parametrize("head", ["def __setstate__(self, state):", "def f(self, x=torch.save):"])
def test_code_that_runs_while_a_file_is_opened_is_refused(head, tmp_path):
    with pytest.raises(VivavoceError, match="--trust-model"):
        checked(archive(tmp_path / "m.pt", f"{head}\n    return 1\n"), trust=False)


def archive(path, code, place="m/code/__torch__.py"):
    """An archive with this code; it is never given to torch."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(place, code)
    return path


FAMILIES = [
    "alexnet", "vgg11_bn", "resnet18", "densenet121", "squeezenet1_0", "googlenet", "inception_v3",
    "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5", "efficientnet_b0",
    "efficientnet_v2_s", "regnet_y_400mf", "convnext_tiny", "vit_b_32", "swin_t", "swin_v2_t", "maxvit_t",
]  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("how", ["traced", "scripted"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_torchvision_is_opened(name, how, tmp_path):
    models = pytest.importorskip("torchvision.models")
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    net = models.get_model(name, weights=None, **options).eval()
    images = torch.rand(1, 3, *((299, 299) if name == "inception_v3" else (224, 224)))
    made = torch.jit.script(net) if how == "scripted" else torch.jit.trace(net, images, check_trace=False)
    cast(torch.jit.ScriptModule, made).save(str(tmp_path / "m.pt"))
    assert torch.jit.load(checked(tmp_path / "m.pt", trust=False))
