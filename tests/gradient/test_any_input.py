"""Models of tables, signals and sequences, and the command that writes the gradient of a model."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import network, to_onnx
from torch import nn

import vivavoce as vv
from vivavoce.audit.cli import app
from vivavoce.gradient import InputGradient, UnsupportedOperator

LIMIT = 1e-4
COUNT, CLASSES = 5, 3


class Transformer(nn.Module):
    """Encoder layers over embeddings of any length, padded where the mask is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.norm, self.wide, self.narrow = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, embeddings, mask):
        weights = self.query(embeddings) @ self.key(embeddings).transpose(1, 2) / 4
        weights = weights.masked_fill(mask[:, None] == 0, -1e9).softmax(2)
        x = self.norm(embeddings + weights @ self.value(embeddings))
        x = x + self.narrow(nn.functional.gelu(self.wide(x)))
        kept = mask[..., None].to(x.dtype)
        return self.head((x * kept).sum(1) / kept.sum(1))


MODULES = {
    "table": (
        lambda: nn.Sequential(
            nn.Linear(9, 32), nn.ReLU(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, CLASSES)
        ),
        (9,),
    ),
    "signal": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 8, 5, 2, 2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(8, 16, 3), nn.SiLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, CLASSES),
        ),
        (2, 64),
    ),
    "sequence": (Transformer, (7, 16)),
}  # fmt: skip


@pytest.fixture(scope="module", params=MODULES)
def case(request, tmp_path_factory):
    """File, module, its inputs by name, classes."""
    make, shape = MODULES[request.param]
    torch.manual_seed(0)
    module = make().eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    inputs: dict[str, np.ndarray] = {"x": rng.normal(size=(COUNT, *shape)).astype(np.float32)}
    axes = {"x": {0: "n"}, "y": {0: "n"}}
    if request.param == "sequence":
        inputs["mask"] = (np.arange(7) < rng.integers(3, 8, (COUNT, 1))).astype(np.int64)
        axes |= {"x": {0: "n", 1: "length"}, "mask": {0: "n", 1: "length"}}
    path = tmp_path_factory.mktemp("models") / f"{request.param}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about itself
        torch.onnx.export(
            module, tuple(torch.from_numpy(a) for a in inputs.values()), path, input_names=list(inputs),
            output_names=["y"], dynamic_axes=axes, dynamo=False, opset_version=18,
        )  # fmt: skip
    return path, module, inputs, rng.integers(0, CLASSES, COUNT)


def exact(module: nn.Module, inputs: dict[str, np.ndarray], classes: np.ndarray) -> np.ndarray:
    """Gradient of cross-entropy in float64."""
    x = torch.from_numpy(inputs["x"]).double().requires_grad_(True)
    module.double()
    scores = module(x, *(torch.from_numpy(a) for name, a in inputs.items() if name != "x"))
    loss = nn.functional.cross_entropy(scores, torch.from_numpy(classes), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, x)
    module.float()
    return gradient.numpy()


def test_the_gradient_in_python_and_in_the_file(case, tmp_path):
    path, module, inputs, classes = case
    truth = exact(module, inputs, classes)
    gradient = vv.open_gradient(path, input="x")
    assert isinstance(gradient, InputGradient)
    others = {name: array for name, array in inputs.items() if name != "x"}
    found = gradient.evaluate(inputs["x"], classes, others=others).gradient
    assert np.linalg.norm(found - truth) < LIMIT * np.linalg.norm(truth)
    sizes = [] if path.stem != "sequence" else ["--shape", "7,16"]
    command(path, "--input-name", "x", *sizes, "-o", tmp_path / "g.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    for count in (1, COUNT):
        part = {name: array[:count] for name, array in (inputs | {"class": classes}).items()}
        scores, loss, written = map(np.asarray, session.run(["scores", "loss", "gradient"], part))
        assert scores.shape == (count, CLASSES)
        assert loss.shape == (count,)
        assert np.linalg.norm(written - truth[:count]) < LIMIT * np.linalg.norm(truth[:count])


def command(*arguments: object) -> None:
    app(["gradient", *map(str, arguments)], standalone_mode=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with a classifier of images, and one with an operator that has no gradient."""
    folder = tmp_path_factory.mktemp("files")
    model = to_onnx(network("vgg"))
    onnx.save(model, folder / "vgg.onnx")
    model.graph.output[0].name = "scores_a"
    model.graph.output.add(name="scores_b", type=model.graph.output[0].type)
    names = ("scores_a", "scores_b")
    model.graph.node.extend(onnx.helper.make_node("Identity", ["scores"], [name]) for name in names)
    onnx.save(model, folder / "two.onnx")
    value = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("Det", ["x"], ["d"], "det"), onnx.helper.make_node("Neg", ["d"], ["y"])]
    graph = onnx.helper.make_graph(
        nodes, "g", [value("x", 1, ["N", 2, 2])], [value("y", 1, ["N"]), value("z", 7, ["N"])]
    )
    graph.node.append(onnx.helper.make_node("Cast", ["d"], ["z"], to=7))
    opsets = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "d.onnx")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("vgg.onnx --of nowhere", "vgg.onnx: the model computes no value `nowhere`"),
        ("vgg.onnx --loss margin --shape 3,32", "has the sizes 3, 32, 32 after the batch, not 3, 32"),
        ("vgg.onnx --loss smooth-l1", "vgg.onnx: the loss `smooth-l1` needs a model that predicts labels"),
        ("vgg.onnx --loss hinge", "no loss 'hinge'; choose one of cross-entropy"),
        ("vgg.onnx --input-name y", "no input `y`; its inputs are: image"),
        ("vgg.onnx --output-name y", "no output `y`; choose one of scores"),
        ("vgg.onnx --shape 3,x", "--shape must be positive numbers"),
        ("vgg.onnx -o nowhere/g.onnx", "nowhere: no such folder"),
        ("two.onnx", r"has 2 outputs \(`scores_a`, `scores_b`\); choose one with --output-name"),
        ("d.onnx --loss score", r"d.onnx: no gradient through Det \(node `det`\): there is no rule for it"),
        ("d.onnx --loss margin --output-name y --of d", "the loss `margin` needs at least 2 classes"),
        ("d.onnx --loss score --output-name z", "the output `z` is int64"),
        ("nothing.onnx", "nothing.onnx: no such model"),
        ("model.pt", "model.pt: give an .onnx file"),
    ],
)
def test_bad_input_gets_one_line(files, monkeypatch, arguments, message):
    monkeypatch.chdir(files)
    Path("model.pt").touch()
    given = arguments.split()
    with pytest.raises(vv.VivavoceError, match=message) as refused:
        command(*given, *([] if "-o" in given else ["-o", "g.onnx"]))
    assert "\n" not in str(refused.value)
    assert not Path("g.onnx").exists()


def test_values_inside_are_listed(files, capsys, tmp_path):
    """By the names of the file, with operator and shape; each is one that `--of` takes."""
    command(files / "vgg.onnx", "--list-values")
    rows = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows[-1][0] == "scores"
    name = next(name for name, operator, shape in rows if (operator, shape) == ("Relu", "16 x 32 x 32"))
    command(files / "vgg.onnx", "--of", name, "-o", tmp_path / "g.onnx")
    assert f"with respect to {name}" in capsys.readouterr().out
    command(files / "vgg.onnx", "--list-values", "--mean", "0.5")
    assert "Sub" in capsys.readouterr().out
    with pytest.raises(vv.VivavoceError, match=r"two\.onnx: the model has 2 outputs"):
        command(files / "two.onnx", "--list-values")
    with pytest.raises(vv.VivavoceError, match="nothing to write"):
        command(files / "vgg.onnx")


def test_classes_that_are_not_there(files, batch):
    gradient = vv.open_gradient(files / "vgg.onnx", "difference")
    images = batch[0][:2]
    with pytest.raises(vv.VivavoceError, match="classes are 0 to 9"):
        gradient(images, np.array([0, 10]), np.array([1, 1]))
    with pytest.raises(vv.VivavoceError, match="2 inputs need as many rivals"):
        gradient(images, np.array([0, 1]), np.array([1]))
    with pytest.raises(UnsupportedOperator, match="Det"):
        vv.open_gradient(files / "d.onnx", "score")


def test_open_gradient_of_what_is_open(files, batch, tmp_path):
    images, goals = batch[0][:2], batch[1][:2]
    model = vv.open_model(files / "vgg.onnx")
    sources = [files / "vgg.onnx", str(files / "vgg.onnx"), onnx.load(files / "vgg.onnx"), model]
    first, *others = (vv.open_gradient(source, "margin")(images, goals)[1] for source in sources)
    for other in others:
        np.testing.assert_array_equal(first, other)
    with pytest.raises(vv.VivavoceError, match="takes no rivals"):
        vv.open_gradient(model, "margin")(images, goals, goals)
    assert isinstance(vv.open_gradient("digits-speech", "smooth-l1"), InputGradient)


def test_preprocessing_becomes_part_of_the_file(files, batch, tmp_path):
    """The gradient with respect to an image in 0..1 is that of the model's own input, times its scale."""
    images, goals = batch[0][:2], batch[1][:2]
    command(files / "vgg.onnx", "--loss", "score", "--scale", 4, "--mean", 0.5, "-o", tmp_path / "g.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["gradient"], {"image": images, "class": goals})
    own = vv.open_gradient(files / "vgg.onnx", "score")(images * 4 - np.float32(0.5), goals)[1]
    np.testing.assert_allclose(np.asarray(found), own * 4, rtol=1e-3, atol=1e-5 * np.abs(own).max())
