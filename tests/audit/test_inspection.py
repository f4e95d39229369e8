"""`audit inspect`, as a page and as JSON, and audits of unusual files from the command line."""

import json

import dressed
import numpy as np
import pytest
from commands import inside
from dressed import ROWS, SIDE, F, K, behind_input, node
from onnx import TensorProto, helper
from trees import write_majority

from vivavoce.audit.cli import main
from vivavoce.cli import main as whole

KEYS = {
    "file", "format", "files", "bytes", "sha256", "producer", "opsets", "inputs", "outputs", "chosen",
    "preprocessing", "head", "classes", "named", "spoken", "label", "batch_dependent", "training", "gradient",
    "schema", "search",
}  # fmt: skip


def inspect(path, *options):
    done = inside(main, "inspect", path, "--json", *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == KEYS
    assert done.stdout.isascii()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Bytes in, one sigmoid out; a temperature, a label and a softmax."""
    folder = tmp_path_factory.mktemp("files")
    cast = [node("Cast", ["x"], ["f"], to=1), node("Div", ["f", "c"], ["image"])]
    tail = [node("MatMul", ["scores", "v"], ["l"]), node("Sigmoid", ["l"], ["s"])]
    tail.append(node("Squeeze", ["s", "one"], ["p"]))
    held = {"c": np.float32(255), "v": np.array([[1.0]] * 5 + [[-1.0]] * 5, np.float32), "one": np.array([1])}

    def with_bytes(graph):
        behind_input(graph, TensorProto.UINT8, ("N", 3, SIDE, SIDE), *cast)

    dressed.save(folder / "bytes.onnx", tail, {"p": (F, ("N",))}, held, with_bytes)

    def with_temperature(graph):
        graph.input.append(helper.make_tensor_value_info("temperature", F, ["N", 1]))

    tail = [
        node("Div", ["scores", "temperature"], ["d"]), node("Softmax", ["d"], ["p"], axis=1),
        node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
    ]  # fmt: skip
    outputs = {"label": (TensorProto.INT64, ("N",)), "p": (F, ("N", "K"))}
    dressed.save(folder / "hot.onnx", tail, outputs, None, with_temperature)
    images, labels = dressed.digits()
    high = (labels < 5).astype(np.int64)
    pixels = np.rint(images * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    for name, classes in (("two", high), ("ten", labels)):
        np.savez(folder / f"{name}.npz", images=pixels[::12], labels=classes[::12])
    return folder


def test_json_says_what_was_understood_of_a_strange_file(folder):
    found = inspect(folder / "bytes.onnx")
    assert found["inputs"] == [{"name": "x", "type": "uint8", "shape": ["N", 3, SIDE, SIDE], "role": "image"}]
    assert found["outputs"] == [{"name": "p", "type": "float", "shape": ["N"], "scores": True}]
    assert found["head"]["kind"] == "one sigmoid"
    assert found["head"]["bypassed"]
    assert found["classes"] == ["0", "1"]
    assert not found["named"]
    assert found["preprocessing"]["rounded"]
    assert found["preprocessing"]["std"] == pytest.approx([1 / 255] * 3)
    assert found["gradient"]["available"]
    status = {(o["operator"], o["status"]) for o in found["gradient"]["operators"]}
    assert ("Floor", "estimated") in status
    assert ("Gemm", "exact") in status


def test_json_says_which_inputs_are_fixed_and_which_output_is_taken(folder):
    found = inspect(folder / "hot.onnx", "--fix", "temperature=2")
    assert [(i["name"], i["role"]) for i in found["inputs"]] == [("image", "image"), ("temperature", "fixed")]
    assert [(o["name"], o["scores"]) for o in found["outputs"]] == [("label", False), ("p", True)]
    assert found["head"]["text"] == "softmax, bypassed"
    assert not found["chosen"]
    assert inspect(folder / "hot.onnx", "--fix", "temperature=2", "--output-name", "1")["chosen"]


def test_json_of_a_model_with_a_manifest_and_a_search():
    found = inspect("digits-speech", "--data", "digits")
    assert found["head"]["kind"] == "label"
    assert found["label"]["kind"] == "speech"
    assert found["training"]["encoder"] == "resnet8"
    assert found["search"]["accuracy"] > 0.9


def test_json_says_why_the_gradient_is_an_estimate(tmp_path):
    path = dressed.save(tmp_path / "m.onnx", [node("Round", ["scores"], ["y"])], {"y": (F, ROWS)})
    found = inspect(path)["gradient"]
    assert found["available"]
    assert found["reason"].startswith("Round at `")
    assert found["reason"].endswith("is a step function")
    (estimated,) = [o for o in found["operators"] if o["status"] != "exact"]
    assert (estimated["operator"], estimated["status"]) == ("Round", "estimated")
    assert "a straight-through estimate: Round at" in inside(main, "inspect", path).stdout


def test_json_says_why_there_is_no_gradient(tmp_path):
    found = inspect(write_majority(tmp_path / "trees.onnx"))["gradient"]
    assert not found["available"]
    assert "piecewise constant" in found["reason"]
    (missing,) = [o for o in found["operators"] if o["status"] == "missing"]
    assert missing["operator"].startswith("ai.onnx.ml.TreeEnsemble")


def test_the_page_says_it_in_words(folder):
    said = inside(main, "inspect", folder / "bytes.onnx").stdout
    assert "one sigmoid, bypassed: two classes" in said
    assert "the file takes whole numbers" in said
    said = inside(main, "inspect", folder / "hot.onnx", "--fix", "temperature=2").stdout
    assert "temperature: float [N, 1], fixed by --fix" in said
    assert "output: p, the only one that can be class scores (the others: label)" in said


def audit(*arguments):
    done = inside(main, "robustness", *arguments, "--protocol", "quick", "--attack", "pgd")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_audits_of_strange_files_from_the_command_line(folder, tmp_path):
    report = tmp_path / "report.json"
    said = audit(folder / "bytes.onnx", "--data", folder / "two.npz", "--output", report, "--epsilon", "0.03")
    assert "trustworthy" in said or "suspicious" in said
    row = json.loads(report.read_text())["rows"][0]
    assert row["accuracy"] == row["accuracy_rounded"]
    assert row["max_perturbation"] == pytest.approx(7 / 255, abs=1e-6)  # 0.03 is 7.65 grey levels
    hot = ("--fix", "temperature=2")
    said = audit(folder / "hot.onnx", *hot, "--data", folder / "ten.npz", "--output", report)
    images, labels = dressed.digits()
    right = (dressed.logits(images[::12]).argmax(1) == labels[::12]).mean()
    assert json.loads(report.read_text())["clean"]["accuracy"] == pytest.approx(right)
    done = inside(
        main, "check", folder / "hot.onnx", "--baseline", report, "--data", folder / "ten.npz", cwd=folder
    )
    assert done.returncode == 0, done.stderr  # the baseline knows the value
    done = inside(main, "compare", folder / "hot.onnx", report, *hot, "--data", folder / "ten.npz")
    assert done.returncode == 0, done.stderr
    done = inside(main, "robustness", folder / "hot.onnx", "--data", folder / "ten.npz")
    assert done.returncode == 2
    assert "--fix temperature=FILE.npy" in done.stderr


def test_int8_versions_and_explanations_of_strange_files(folder, tmp_path):
    for name, data, options in (("bytes", "two", ()), ("hot", "ten", ("--fix", "temperature=2"))):
        given = (folder / f"{name}.onnx", *options, "--data", folder / f"{data}.npz")
        done = inside(main, "quantize-check", *given, "--protocol", "quick", "--limit", 10)
        assert done.returncode in (0, 1), done.stderr
        assert "-int8.onnx" in done.stdout


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    from PIL import Image

    images, _ = dressed.digits()
    path = tmp_path_factory.mktemp("picture") / "digit.png"
    Image.fromarray(np.rint(images[0] * 255).astype(np.uint8).transpose(1, 2, 0)).save(path)
    return path


def test_explain_and_classify_answer(folder, picture, tmp_path):
    images, _ = dressed.digits()
    expected = int(dressed.logits(images[:1]).argmax())
    hot = ("--fix", "temperature=2")
    done = inside(main, "explain", folder / "hot.onnx", picture, *hot, "-o", tmp_path / "map.png")
    assert done.returncode == 0, done.stderr
    done = inside(whole, "classify", picture, "--model", folder / "hot.onnx", *hot, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["class"] == str(expected)
    done = inside(whole, "classify", picture, "--model", folder / "bytes.onnx", "--json")
    assert json.loads(done.stdout)["class"] == str(int(expected < 5))


def test_grey_models_take_colour_pictures_and_the_other_way_round(tmp_path):
    from PIL import Image

    colours = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "colour.png")
    Image.fromarray(colours).convert("L").save(tmp_path / "grey.png")
    spread = node("Concat", ["x", "x", "x"], ["image"], axis=1)
    path = dressed.save(
        tmp_path / "grey.onnx", [], {"scores": (F, ROWS)}, None,
        lambda graph: behind_input(graph, F, ("N", 1, SIDE, SIDE), spread),
    )  # fmt: skip
    dressed.save(tmp_path / "colour.onnx", [], {"scores": (F, ROWS)})
    answers = []
    for image, model in (("colour", path), ("grey", path), ("grey", tmp_path / "colour.onnx")):
        picture = tmp_path / f"{image}.png"
        done = inside(whole, "classify", picture, "--model", model, "--top", K, "--json")
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    assert len(answers[0]["top"]) == K
    for answer in answers[1:]:
        assert [one["class"] for one in answer["top"]] == [one["class"] for one in answers[0]["top"]]
