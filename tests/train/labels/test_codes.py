"""Error-correcting codes, embeddings of texts, galleries: banks for encoders."""

from typing import Any, cast

import numpy as np
import onnx
import pytest
from banks import build_bank
from commands import inside
from encoders import SIDE, embedded, save_encoder
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import LabelBank, Preprocessing, open_model
from vivavoce.cli import main
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float
from vivavoce.train.labels.ecoc import minimum_distance
from vivavoce.train.labels.gallery import enrol, leave_one_out
from vivavoce.train.labels.text_encoder import TextEncoder

WORDS = ["[PAD]", "[UNK]", "a", "photo", "drawing", "of", "cat", "dog"]
TABLE = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)
TEN = [str(k) for k in range(10)]


@pytest.mark.parametrize(("count", "bits", "distance"), [(2, 1, 1), (4, 3, 2), (10, 15, 8), (100, 127, 64)])
def test_hadamard_words_differ_in_half_of_the_matrix(count, bits, distance):
    bank = build_bank("ecoc", [f"c{k}" for k in range(count)])
    assert bank.labels.shape == (count, bits)
    assert set(np.unique(bank.labels)) <= {-1, 1}
    differing = (bank.labels[:, None] != bank.labels).sum(2)
    assert set(differing[np.triu_indices(count, 1)].tolist()) == {distance}
    assert bank.recipe["minimum distance"] == distance


def test_other_codes(tmp_path):
    assert build_bank("ecoc", TEN, length=31).labels.shape == (10, 31)
    assert build_bank("ecoc", TEN, code="one-vs-all").recipe["minimum distance"] == 2
    draws = [build_bank("ecoc", TEN, code="random", length=24, seed=seed).labels for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()
    assert minimum_distance(draws[0]) >= 7  # the mean of a single draw is below
    rows = ["0110", "1010", "1111"]
    for text in (
        "\n".join(rows),
        "\n".join(" ".join(row) for row in rows),
        "-1,1,1,-1\n1,-1,1,-1\n1,1,1,1\n",
    ):
        (tmp_path / "code.txt").write_text(text)
        bank = build_bank("ecoc", ["a", "b", "c"], code=str(tmp_path / "code.txt"))
        np.testing.assert_array_equal(bank.labels, [[-1, 1, 1, -1], [1, -1, 1, -1], [1, 1, 1, 1]])
    for text, message in (
        ("01\n01\n10", "the same word"),
        ("01\n10", "it needs 3"),
        ("02\n10\n11", "bits are 0 and 1"),
    ):
        (tmp_path / "code.txt").write_text(text)
        with pytest.raises(VivavoceError, match=message):
            build_bank("ecoc", ["a", "b", "c"], code=str(tmp_path / "code.txt"))
    with pytest.raises(VivavoceError, match="no code 'golay'"):
        build_bank("ecoc", TEN, code="golay")
    with pytest.raises(VivavoceError, match="give --length 15 or 31"):
        build_bank("ecoc", TEN, length=20)


def text_encoder(path, batch="N", length="T", output="last_hidden_state"):
    """An encoder whose states are the rows of `TABLE`, and a tokenizer of words beside it."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path.with_name("tokenizer.json")))
    nodes = [helper.make_node("Gather", ["table", "input_ids"], [output])]
    if output == "text_embeds":
        nodes = [
            helper.make_node("Gather", ["table", "input_ids"], ["states"]),
            helper.make_node("ReduceMax", ["states"], [output], axes=[1], keepdims=0),
        ]
    nodes.append(helper.make_node("Identity", ["attention_mask"], ["unused"]))
    shape = [batch, 5] if output == "text_embeds" else [batch, length, 5]
    graph = helper.make_graph(
        nodes,
        "text",
        [
            helper.make_tensor_value_info(n, TensorProto.INT64, [batch, length])
            for n in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("unused", TensorProto.INT64, [batch, length]),
        ],
        [numpy_helper.from_array(TABLE, "table")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize(("batch", "length"), [("N", "T"), (1, 9), (3, "T")])
def test_texts_are_embedded_as_the_encoder_does(batch, length, tmp_path):
    path = text_encoder(tmp_path / "text.onnx", batch, length)
    bank = build_bank(
        "text", ["cat", "dog"], text_model=path, templates=["a photo of a {}", "a drawing of a {} of a {}"]
    )

    def state(text):
        mean = TABLE[[WORDS.index(word) for word in text.split()]].astype(np.float64).mean(0)
        return mean / np.linalg.norm(mean)

    for name, label in zip(bank.classes, bank.labels, strict=True):
        wanted = state(f"a photo of a {name}") + state(f"a drawing of a {name} of a {name}")
        np.testing.assert_allclose(label, wanted / np.linalg.norm(wanted), atol=1e-6)
    pooled = TextEncoder(text_encoder(tmp_path / "p.onnx", output="text_embeds"), tmp_path / "tokenizer.json")
    np.testing.assert_allclose(pooled(["cat dog"])[0], TABLE[[6, 7]].max(0), atol=1e-6)


def test_the_command_builds_texts_and_says_what_is_missing(tmp_path):
    text_encoder(tmp_path / "text.onnx")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    base = (
        "labels",
        "build",
        "--kind",
        "text",
        "--text-model",
        "text.onnx",
        "--classes",
        "names.txt",
        "-o",
        "b.npz",
    )
    done = inside(main, *base, "--template", "a photo of a {}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "closest: cat and dog, cosine 0." in done.stdout
    for command in (("stats", "b.npz"), ("show", "b.npz", "-o", "b.png")):
        assert inside(main, "labels", *command, cwd=tmp_path).returncode == 0
    (tmp_path / "tokenizer.json").rename(tmp_path / "moved.json")
    for arguments, message in (
        (base, "no such tokenizer; give the model's tokenizer.json with --tokenizer"),
        ((*base, "--tokenizer", "names.txt"), "not a tokenizer.json that can be read"),
        ((*base, "--tokenizer", "moved.json", "--template", "a photo"), "has no {} for the name"),
        ((*base[:5], "gone.onnx", *base[6:]), "no such .onnx file of a text encoder"),
        (("labels", "build", "--kind", "gallery", "-o", "g.npz"), "gallery labels need --encoder"),
        (("labels", "build", "--kind", "ecoc", "-o", "g.npz"), "ecoc labels need --classes"),
    ):
        done = inside(main, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert message in done.stderr


def test_a_gallery_holds_the_embeddings_of_its_images(tmp_path):
    encoder = save_encoder(tmp_path / "encoder.onnx", 4)
    digits = open_images("digits")
    pixels = to_float(digits.pixels(np.arange(len(digits)), Fit(SIDE, SIDE, 3)))
    rows = embedded(pixels)
    every = enrol(encoder, "digits", "all", "l2")
    assert every.members == tuple(np.bincount(digits.labels))
    for k in (0, 7):
        own = rows[digits.labels == k]
        np.testing.assert_allclose(every.labels[k, : len(own)], own, atol=1e-5)
    means = enrol(encoder, "digits", "mean", "cosine")
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(means.labels[3], unit[digits.labels == 3].mean(0), atol=1e-5)
    assert 0.5 < float(means.recipe["leave one out"]) < 1
    every.save(tmp_path / "all.npz")
    model = open_model(encoder, Preprocessing(bank=str(tmp_path / "all.npz")))
    assert model.manifest.label is not None
    assert model.manifest.label.metric == "l2"  # the bank's own
    decided = model.answer(pixels[:40]).scores.argmax(1)
    assert (decided == digits.labels[:40]).all()  # each image is in the gallery
    with pytest.raises(VivavoceError, match="compared by cosine"):
        enrol(encoder, "digits", "all", cast(Any, "hamming"))


def test_leaving_one_out_is_what_doing_it_says():
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [5, 7, 1])
    rows = draw.normal(size=(13, 4)) + 1.2 * np.eye(4)[labels]
    for keep in ("mean", "all"):
        right = []
        for i in range(12):  # the last is alone in its class
            rest = np.arange(13) != i
            if keep == "mean":
                groups = np.stack([rows[rest & (labels == k)].mean(0) for k in range(3)])
                right.append(np.linalg.norm(groups - rows[i], axis=1).argmin() == labels[i])
            else:
                away = np.where(rest, np.linalg.norm(rows - rows[i], axis=1), np.inf)
                right.append(labels[away.argmin()] == labels[i])
        assert leave_one_out(rows, labels, keep, "l2") == pytest.approx(np.mean(right))
        assert 0.3 < np.mean(right) < 1


def test_a_run_takes_codes_and_galleries_as_labels(tmp_path):
    bank = LabelBank(
        "gallery", np.eye(3, dtype=np.float32)[:, None].repeat(2, 1), ("a", "b", "c"), members=(2, 1, 2)
    )
    np.testing.assert_array_equal(bank.averaged().labels, np.eye(3))
    assert bank.averaged().members is None
