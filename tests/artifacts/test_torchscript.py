"""What a TorchScript file may call when it is opened."""

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


def test_code_that_writes_files_is_refused_unless_trusted(tmp_path):
    torch.jit.script(Hostile(str(tmp_path / "canary"))).save(tmp_path / "m.pt")
    with pytest.raises(VivavoceError, match=r"calls torch\.save.*--trust-model"):
        checked(tmp_path / "m.pt", trust=False)
    assert checked(tmp_path / "m.pt", trust=True)
    assert not (tmp_path / "canary").exists()
