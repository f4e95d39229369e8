"""An audit that is killed and goes on."""

import hashlib
import shutil

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.audit import state as states
from vivavoce.audit.attacks.fgsm import FGSM
from vivavoce.audit.cli import app
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.audit.state import MAGIC
from vivavoce.audit.writing import outputs
from vivavoce.errors import VivavoceError

SIDE = 8
PROTOCOL = resolve("paper", attacks=["fgsm", "iterative"], epsilons=[0.0, 0.2])


def settings(folder, **changes):
    chosen = {"protocol": PROTOCOL, "data": str(folder / "data"), "batch_size": 4}
    return Settings(**(chosen | {"resume": folder / "state"} | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small linear classifier with its weights in a file of their own, and 12 images in three classes."""
    folder = tmp_path_factory.mktemp("made")
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(3 * SIDE * SIDE, 3)).astype("f4")
    tensor = numpy_helper.from_array(weights, "w")
    (folder / "m.onnx.data").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="m.onnx.data")
    images = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [images], [scores], [tensor])
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, ir_version=9, opset_imports=opset)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    for k in range(12):
        pixels = draw.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
        best = int((pixels.transpose(2, 0, 1).ravel() @ weights).argmax())
        (folder / "data" / str(best)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "data" / str(best) / f"{k:02}.png")
    for k in range(3):
        (folder / "data" / str(k)).mkdir(exist_ok=True)
    return folder


class Killed(Exception):
    pass


def killed_after(steps):
    def watch(what, done, total):
        if total and done >= steps:
            raise Killed

    return watch


@pytest.fixture
def killed(made, tmp_path):
    """A folder with the model, the data, and the state of an audit that was killed in its second batch."""
    folder = tmp_path / "audit"
    shutil.copytree(made, folder)
    with pytest.raises(Killed):
        robustness(open_model(folder / "m.onnx"), settings(folder), killed_after(40))
    assert (folder / "state").exists()
    return folder


def comparable(report):
    rows = [{**{f: getattr(r, f) for f in r.__struct_fields__}, "seconds": 0} for r in report.rows]
    return rows, report.images, report.verdict, report.data, report.diagnosis, report.notes, report.model


def test_a_killed_audit_ends_in_the_same_report(killed):
    model = open_model(killed / "m.onnx")
    whole = robustness(model, settings(killed, resume=None))
    seen = []
    again = robustness(
        model, settings(killed), lambda what, done, total: seen.append(done) if total else None
    )
    assert seen[0] > 32, "the first batch is not attacked again"
    assert comparable(again.report) == comparable(whole.report)
    assert len(again.evaluation.examples) == len(whole.evaluation.examples) > 0
    for a, b in zip(again.evaluation.examples, whole.evaluation.examples, strict=True):
        np.testing.assert_array_equal(a.adversarial, b.adversarial)


def change_an_image(folder, place):
    path = sorted((folder / "data").glob("*/*.png"))[place]
    with Image.open(path) as image:
        pixels = np.array(image)
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path)


def change_a_weight(folder):
    values = np.fromfile(folder / "m.onnx.data", "f4")
    values[-1] += 1e-3
    values.tofile(folder / "m.onnx.data")


def change_the_graph(folder):
    model = onnx.load(folder / "m.onnx", load_external_data=False)
    model.producer_name = "somebody else"
    (folder / "m.onnx").write_bytes(model.SerializeToString())


CHANGES = {
    "the first image": (lambda folder: change_an_image(folder, 0), "the images changed"),
    "the last image": (lambda folder: change_an_image(folder, -1), "the images changed"),
    "a weight": (change_a_weight, "the model or its settings changed"),
    "the graph": (change_the_graph, "the model or its settings changed"),
    "a setting": (lambda f: (f / "m.toml").write_text("scale = 2.0"), "the model or its settings changed"),
    "names": (
        lambda f: [(f / "n").write_text("0\n2\n1"), (f / "m.toml").write_text('classes = "n"')],
        "the model or its settings, the images",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_is_named_and_refused(name, killed):
    change, words = CHANGES[name]
    change(killed)
    with pytest.raises(VivavoceError, match=f"belongs to a different audit \\({words}[^\\n]*$"):
        robustness(open_model(killed / "m.onnx"), settings(killed))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 1}, "the seed"),
        ({"batch_size": 5}, "batch size"),
        ({"protocol": resolve("paper", attacks=["fgsm", "iterative"], epsilons=[0.0, 0.3])}, "the protocol"),
        ({"limit": 9}, "the images"),
    ],
)
def test_other_settings_are_refused(changes, words, killed):
    with pytest.raises(VivavoceError, match=words):
        robustness(open_model(killed / "m.onnx"), settings(killed, **changes))


def test_options_and_versions_count(killed, monkeypatch):
    with pytest.raises(VivavoceError, match="the model or its settings changed"):
        robustness(open_model(killed / "m.onnx", Preprocessing(scale=2.0)), settings(killed))
    monkeypatch.setattr(states, "versions", lambda model: {"onnxruntime": "0.0"})
    with pytest.raises(VivavoceError, match="the versions of packages changed"):
        robustness(open_model(killed / "m.onnx"), settings(killed))


def refused(folder):
    with pytest.raises(VivavoceError, match=r"state: not the state of an audit, or damaged \([^\n]*$"):
        robustness(open_model(folder / "m.onnx"), settings(folder))


def test_every_kind_of_damage_is_refused(killed):
    """Seeded: files of other kinds, cuts, bits that flipped."""
    whole, draw = (killed / "state").read_bytes(), np.random.default_rng(0)
    broken = [b"", b"text", b"PK\x03\x04", MAGIC, MAGIC + bytes(32), whole + b"\0"]
    broken += [whole[: draw.integers(len(whole))] for _ in range(8)]
    for _ in range(16):
        damaged = bytearray(whole)
        damaged[draw.integers(len(whole))] ^= 1 << draw.integers(8)
        broken.append(bytes(damaged))
    for content in broken:
        (killed / "state").write_bytes(content)
        refused(killed)


def test_the_command_keeps_the_state_until_its_outputs_are_written(made, tmp_path, monkeypatch):
    state, report = tmp_path / "state", tmp_path / "report.json"
    arguments = [
        "robustness", made / "m.onnx", "--data", made / "data", "--attack", "fgsm", "--epsilon", 0.1,
        "--resume", state, "--output", report,
    ]  # fmt: skip
    attacked = []
    monkeypatch.setattr(FGSM, "sweep", lambda *given, sweep=FGSM.sweep: attacked.append(1) or sweep(*given))

    def full(audit, kind):
        raise VivavoceError("report.json: cannot be written (No space left on device)")

    with monkeypatch.context() as disk:
        disk.setitem(outputs.WRITERS, ".json", full)
        failed = CliRunner().invoke(app, [*map(str, arguments)])
    assert "No space left" in str(failed.exception)
    assert state.exists()
    assert attacked
    first, _ = len(attacked), attacked.clear()
    assert CliRunner().invoke(app, [*map(str, arguments)]).exit_code == 0
    assert report.exists()
    assert len(attacked) < first  # the diagnosis attacks a few images again
    assert not state.exists()


def test_arrays_that_do_not_fit_are_refused(killed):
    """With a digest that fits: nothing is taken from the file but what the audit expects."""
    whole = (killed / "state").read_bytes()
    plain = msgspec.msgpack.decode(whole[len(MAGIC) + 32 :])["paper"]
    flag = plain["near"]
    for change in (
        {"decisions": plain["decisions"][:-1]}, {"near": flag + b"\0"}, {"near": b"\2" * len(flag)},
        {"done": 13}, {"done": -1}, {"outcomes": plain["outcomes"][1:]}, {"tally": {"queries": 1}},
        {"outcomes": [o | {"images": o["images"][:-1]} for o in plain["outcomes"]]},
        {"outcomes": [o | {"images": b"\2" + o["images"][1:]} for o in plain["outcomes"]]},
        {"fingerprint": {}},
        {"examples": [e | {"clean": b"1"} for e in plain["examples"]]},
    ):  # fmt: skip
        content = msgspec.msgpack.encode({"paper": plain | change})
        (killed / "state").write_bytes(MAGIC + hashlib.sha256(content).digest() + content)
        refused(killed)


def test_a_state_that_is_no_file_is_refused(killed):
    (killed / "state").unlink()
    (killed / "state").mkdir()
    with pytest.raises(VivavoceError, match="is a folder"):
        robustness(open_model(killed / "m.onnx"), settings(killed))
