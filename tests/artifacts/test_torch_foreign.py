"""TorchScript files that vivavoce did not export."""

import copy
import io
import json
import pickle
import zipfile
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn
from torch_files import KINDS, SIZE, Around, Kind, digits_net

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.artifacts.torch_input import example_of
from vivavoce.artifacts.torch_model import TorchModel
from vivavoce.errors import VivavoceError
from vivavoce.gradient.torchscript import batch_size, gradient_of

pytestmark = pytest.mark.filterwarnings("ignore")

IMAGES = (np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32)) / 255).astype(np.float32)


def opened(path, options: Preprocessing | None = None) -> TorchModel:
    model = open_model(path, options, trust=path.suffix == ".pt2")
    assert isinstance(model, TorchModel)
    return model


def traced(module: nn.Module, path, example: torch.Tensor, extra: dict[str, str] | None = None):
    made = torch.jit.trace(module, example, check_trace=False, strict=False)
    torch.jit.save(cast(torch.jit.ScriptModule, made), str(path), _extra_files=extra)
    return path


def logits(images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return digits_net()(torch.from_numpy(images)).numpy()


PROGRAMS = ("softmax", "log-of-softmax", "sigmoids", "half", "dict", "hwc", "bytes")
"""Kinds that are also tried as files of torch.export."""


@pytest.mark.parametrize(
    ("name", "file"), [*((name, "m.pt") for name in KINDS), *((name, "m.pt2") for name in PROGRAMS)]
)
def test_scores_and_gradient_are_those_of_the_network(name, file, tmp_path):
    kind = KINDS[name]
    model = opened(kind.save(tmp_path / file), kind.options)
    assert model.understood
    assert model.understood.head.kind == kind.head
    entry = model.manifest.input
    assert (entry.channels, entry.height, entry.width) == (3, 32, 32)
    scores, expected = model.answer(IMAGES).scores, logits(IMAGES)
    loose = 0.02 if "half" in name else 1e-4
    if kind.head == "probabilities":  # logarithms: the same up to a number for each image
        scores, expected = (s - s.max(1, keepdims=True) for s in (scores, expected))
        scores, expected = scores.clip(-10), expected.clip(-10)
    np.testing.assert_allclose(scores, expected, atol=loose * np.ptp(expected))

    goals = np.arange(5)
    image = torch.from_numpy(IMAGES).requires_grad_(True)
    net = copy.deepcopy(digits_net())
    net = net.half().float() if "half" in name else net
    loss = nn.functional.cross_entropy(net(image), torch.from_numpy(goals), reduction="sum")
    wanted = torch.autograd.grad(loss, image)[0].numpy()
    if kind.head == "probabilities":
        return
    if kind.head == "log-softmax":
        assert not np.allclose(scores.max(1), 0)
    _, gradient, own = gradient_of(model, "cross-entropy")(IMAGES, goals)
    np.testing.assert_allclose(own, logits(IMAGES), atol=loose * np.ptp(expected))
    np.testing.assert_allclose(gradient, wanted, atol=1e-5 * np.abs(wanted).max())


def test_one_sigmoid_is_two_classes(tmp_path):
    net = Around(digits_net(), lambda n, x: (n(x)[:, :1] - n(x)[:, 1:2]).sigmoid())
    model = opened(traced(net, tmp_path / "m.pt", torch.rand(2, 3, 32, 32)))
    assert model.understood
    assert model.understood.head.kind == "one sigmoid"
    gap = logits(IMAGES)[:, 0] - logits(IMAGES)[:, 1]
    np.testing.assert_allclose(model.answer(IMAGES).scores, np.stack([-gap / 2, gap / 2], 1), atol=1e-4)


def test_a_softmax_over_the_batch_is_not_left_out(tmp_path):
    net = Around(digits_net(), lambda n, x: n(x).softmax(0))
    model = opened(traced(net, tmp_path / "m.pt", torch.rand(2, 3, 32, 32)))
    assert model.understood
    assert not model.understood.head.bypassed
    np.testing.assert_allclose(
        model.answer(IMAGES).scores, torch.from_numpy(logits(IMAGES)).softmax(0).numpy(), atol=1e-5
    )


class Early(nn.Module):
    """Its answer depends on how sure its first softmax is."""

    def __init__(self):
        super().__init__()
        self.net = digits_net()

    def forward(self, x):
        p = self.net(x).softmax(1)
        if float(p.max()) > 0.5:
            return p
        return p.flip(1)


def test_a_softmax_that_also_decides_the_way_stays(tmp_path):
    torch.jit.script(Early()).save(tmp_path / "m.pt")
    model = opened(tmp_path / "m.pt", SIZE)
    with torch.no_grad():
        own = Early()(torch.from_numpy(IMAGES))
    assert (model.answer(IMAGES).scores.argmax(1) == own.argmax(1).numpy()).all()


def test_a_program_that_takes_its_image_by_keyword(tmp_path):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = digits_net()

        def forward(self, *, pixel_values):
            return {"logits": self.net(pixel_values), "order": self.net(pixel_values).softmax(0)}

    made = torch.export.export(Named(), (), {"pixel_values": torch.rand(2, 3, 32, 32)})
    torch.export.save(made, tmp_path / "m.pt2")
    model = opened(tmp_path / "m.pt2", Preprocessing(output_name="logits"))
    np.testing.assert_allclose(model.answer(IMAGES).scores, logits(IMAGES), atol=1e-4)
    batch = opened(tmp_path / "m.pt2", Preprocessing(output_name="order"))
    assert batch.understood
    assert not batch.understood.head.bypassed  # a softmax over the batch decides


def test_preprocessing_options_and_settings_file(tmp_path):
    path = traced(digits_net(), tmp_path / "m.pt", torch.rand(2, 3, 32, 32))
    options = Preprocessing(scale=255.0, mean=(10.0, 20.0, 30.0), std=(50.0, 60.0, 70.0), channels="bgr")
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (options.mean, options.std))
    expected = logits(np.ascontiguousarray(((IMAGES * 255 - mean) / std)[:, ::-1]))
    np.testing.assert_allclose(opened(path, options).answer(IMAGES).scores, expected, rtol=1e-3, atol=1e-3)
    (tmp_path / "m.toml").write_text(
        'scale = 255.0\nmean = [10.0, 20.0, 30.0]\nstd = [50.0, 60.0, 70.0]\nchannels = "bgr"\n'
    )
    np.testing.assert_allclose(opened(path).answer(IMAGES).scores, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("wanted", ["b.logits", "2"])
def test_an_output_is_chosen_by_name_or_number(wanted, tmp_path):
    class Scripted(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = digits_net()

        def forward(self, x):
            y = self.net(x)
            return {"a": y.flip(1), "b.other": y.roll(1, 1), "b.logits": y}

    torch.jit.script(Scripted()).save(tmp_path / "m.pt")
    with pytest.raises(VivavoceError, match=r"3 outputs \(a.*such as --output-name b\.logits"):
        open_model(tmp_path / "m.pt", SIZE)
    model = opened(tmp_path / "m.pt", Preprocessing(size=(32, 32), output_name=wanted))
    np.testing.assert_allclose(model.answer(IMAGES).scores, logits(IMAGES), rtol=1e-4, atol=1e-4)
    with pytest.raises(VivavoceError, match=r"no output 'x'; there are a, b\.other, b\.logits, or 0 to 2"):
        open_model(tmp_path / "m.pt", Preprocessing(size=(32, 32), output_name="x"))


@pytest.mark.parametrize("side", [28, 224])
def test_the_only_usual_size_that_runs_is_taken(side, tmp_path):
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (side // 2) ** 2, 10)
    )
    torch.jit.script(net).save(tmp_path / "m.pt")
    entry = opened(tmp_path / "m.pt").manifest.input
    assert (entry.channels, entry.height, entry.width) == (1, side, side)


def test_a_network_of_linear_layers_shows_its_size(tmp_path):
    torch.jit.script(nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))).save(tmp_path / "m.pt")
    entry = opened(tmp_path / "m.pt").manifest.input
    assert (entry.channels, entry.height, entry.width) == (1, 28, 28)


def test_a_network_for_any_size_asks_for_one(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    torch.jit.script(net).save(tmp_path / "m.pt")
    with pytest.raises(VivavoceError, match="any size; say which with --size 224"):
        open_model(tmp_path / "m.pt")
    assert opened(tmp_path / "m.pt", Preprocessing(size=(40, 48))).manifest.input.width == 48


def test_names_that_ultralytics_stores_are_read(tmp_path):
    about = {
        "author": "Ultralytics",
        "task": "classify",
        "imgsz": [32, 32],
        "names": {k: f"n{k}" for k in range(10)},
    }
    extra = {"config.txt": json.dumps(about)}
    model = opened(traced(digits_net(), tmp_path / "m.torchscript", torch.rand(1, 3, 32, 32), extra))
    assert model.named
    assert model.manifest.classes[3] == "n3"
    assert model.manifest.input.resize == 32


REFUSED = {
    "no scores": (Around(digits_net(), lambda n, x: n(x).argmax(1)), None, r"int64 \[4\] for 4 images"),
    "features": (
        Around(digits_net(), lambda n, x: nn.functional.normalize(n(x))), None, "gives embeddings",
    ),
    "fix": (digits_net(), Preprocessing(fix={"a": 1.0}), "--fix is for .onnx files"),
    "size": (digits_net(), Preprocessing(size=(64, 64)), "mat1 and mat2 shapes cannot be multiplied"),
    "number": (digits_net(), Preprocessing(output_name="7"), "no output '7'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_classifier_is_refused_in_one_line(case, tmp_path):
    net, options, message = REFUSED[case]
    path = traced(net, tmp_path / "m.pt", torch.rand(2, 3, 32, 32))
    with pytest.raises(VivavoceError, match=message) as caught:
        open_model(path, options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_is_refused_with_the_line_that_makes_a_file(tmp_path):
    torch.save(digits_net().state_dict(), tmp_path / "m.pt")
    with pytest.raises(
        VivavoceError, match=r"torch\.jit\.trace\(net\.eval\(\), torch\.rand\(1, 3, 224, 224\)\)"
    ):
        open_model(tmp_path / "m.pt")


class Canary:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


def test_the_example_of_a_trace_is_read_without_running_it():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("m/traced_inputs.pkl", pickle.dumps({"forward": Canary()}))
    assert example_of(archive) is None


def test_a_batch_fits_the_memory(tmp_path):
    model = opened(Kind(lambda net: net, "scores").save(tmp_path / "m.pt"))
    assert batch_size(model, 2_000_000_000, 64) == 64
    assert batch_size(model, 0, 64) == 1
    some, more = (
        batch_size(model, 600_000_000 + 3 * model.path.stat().st_size + b, 64) for b in (400_000, 4_000_000)
    )
    assert 1 <= some < more <= 64
