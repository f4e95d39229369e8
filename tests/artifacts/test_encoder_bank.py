"""Encoders with a label bank: scores, losses, gradients, and what is refused."""

import warnings
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from encoders import SIDE, WEIGHTS, WIDTH, embedded, images, save_bank, save_encoder
from onnx import numpy_helper
from torch.nn import functional as F

from vivavoce.artifacts import LabelBank, Preprocessing, open_model
from vivavoce.artifacts.metrics import METRICS
from vivavoce.artifacts.onnx_model import OnnxModel
from vivavoce.artifacts.preprocessing import Pool
from vivavoce.audit.target import Target
from vivavoce.errors import VivavoceError
from vivavoce.gradient import support

DRAW = np.random.default_rng(3)
ROWS = DRAW.normal(0, 1, (5, WIDTH)).astype(np.float32)
SEVERAL = DRAW.normal(0, 1, (5, 3, WIDTH)).astype(np.float32)
BITS = DRAW.integers(0, 2, (5, WIDTH))
EXACT = {
    "cosine": lambda f, b: F.cosine_similarity(f[:, None], b, dim=2),
    "dot": lambda f, b: f @ b.T,
    "l2": lambda f, b: -torch.cdist(f, b),
    "squared-l2": lambda f, b: -(f[:, None] - b).square().sum(2),
    "hamming": lambda f, b: -((f[:, None] + 1) / 2 - (b + 1) / 2).abs().mean(2),
    "smooth-l1": lambda f, b: (
        -F.smooth_l1_loss(*torch.broadcast_tensors(f[:, None], b), reduction="none").mean(2)
    ),
}
"""How near f [N, D] in -1..1 are to rows [R, D], in torch's words."""


def exact(metric: str, pictures: torch.Tensor, rows: np.ndarray, pool: str) -> torch.Tensor:
    """How near images are to classes with rows [K, M, D], in float64: [N, K]."""
    points = torch.tanh(pictures.flatten(1) @ torch.from_numpy(WEIGHTS).double())
    near = EXACT[metric](points, torch.from_numpy(rows).double().flatten(0, 1)).unflatten(1, rows.shape[:2])
    return near.amax(2) if pool == "max" else near.mean(2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("banks")
    save_encoder(folder / "encoder.onnx")
    save_bank(folder / "rows.npz", ROWS)
    save_bank(folder / "several.npz", SEVERAL)
    save_bank(folder / "bits.npz", BITS)
    save_bank(folder / "signs.npz", 2 * BITS[:, None].repeat(2, 1) - 1)
    return folder


def opened(folder, bank="rows.npz", model="encoder.onnx", **options):
    return open_model(folder / model, Preprocessing(bank=str(folder / bank), **options))


@pytest.mark.parametrize("pool", ["max", "mean"])
@pytest.mark.parametrize("metric", METRICS)
def test_scores_and_gradients_are_those_of_float64(metric, pool, folder):
    bank = "signs.npz" if metric == "hamming" else "several.npz"
    rows = 2 * BITS[:, None] - 1 if metric == "hamming" else SEVERAL
    model = opened(folder, bank, metric=metric, pool=pool, logit_scale=2.5)
    pictures, classes = images(6), np.array([0, 1, 2, 3, 4, 0])
    wanted = torch.from_numpy(pictures).double().requires_grad_()
    near = exact(metric, wanted, rows, pool)
    outputs = model.answer(pictures)
    assert outputs.loss is not None
    assert outputs.label is not None
    np.testing.assert_allclose(outputs.scores, 2.5 * near.detach(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(outputs.loss, METRICS[metric].offset - near.detach(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(outputs.label, embedded(pictures), rtol=0, atol=1e-5)
    (slope,) = torch.autograd.grad(
        F.cross_entropy(2.5 * near, torch.from_numpy(classes), reduction="sum"), wanted
    )
    target = Target(model)
    found = target.gradient(pictures, classes, "cross-entropy")
    np.testing.assert_allclose(found, slope, rtol=0, atol=2e-5 * float(slope.abs().max()))
    assert not target.strayed
    near = exact(metric, wanted, rows, pool)
    (slope,) = torch.autograd.grad(near[range(6), classes].sum(), wanted)
    np.testing.assert_allclose(
        target.distance_gradient(pictures, classes),
        -2.5 * slope,
        rtol=0,
        atol=5e-5 * float(slope.abs().max()),
    )


@pytest.mark.parametrize(("opset", "batch"), [(10, "N"), (11, 2), (13, 1), (18, "N")])
@pytest.mark.parametrize("metric", ["cosine", "l2", "smooth-l1"])
def test_operator_sets_and_fixed_batches(metric, opset, batch, folder, tmp_path):
    path = save_encoder(tmp_path / "encoder.onnx", batch, opset)
    given = Preprocessing(bank=str(folder / "several.npz"), metric=metric, pool="mean")
    found = open_model(path, given).answer(images(5))
    np.testing.assert_allclose(
        found.scores,
        opened(folder, "several.npz", metric=metric, pool="mean").answer(images(5)).scores,
        atol=1e-5,
    )


def test_the_hamming_distance_of_bits_is_the_share_that_differs(tmp_path):
    bits = BITS.astype(np.float64)
    found = METRICS["hamming"].nearness(bits[:2], bits)
    np.testing.assert_allclose(-found, (bits[:2, None] != bits).mean(2), atol=1e-12)
    np.testing.assert_allclose(METRICS["hamming"].nearness(2 * bits[:2] - 1, 2 * bits - 1), found, atol=1e-12)


def test_the_manifest_says_how_labels_are_compared(folder):
    model = opened(folder, "several.npz", metric="cosine", threshold=0.3, logit_scale=100.0)
    label, manifest = model.manifest.label, model.manifest
    assert label is not None
    assert (label.kind, label.metric, label.pool, label.several, label.shape) == (
        "bank",
        "cosine",
        "max",
        3,
        (WIDTH,),
    )
    assert (1 / label.temperature, manifest.schema) == (pytest.approx(100), 3)
    assert manifest.decoding.threshold == pytest.approx(0.7)
    assert manifest.classes[1] == "class 1"
    assert model.named
    assert model.bank is not None
    assert model.bank.shape == (5, 3, WIDTH)
    again = type(manifest).from_json(manifest.to_json())
    assert again == manifest
    plain = open_model("digits-speech").manifest
    assert "metric" not in plain.to_json()


def test_an_array_of_matrices_is_read_by_the_encoders_shape(folder, tmp_path):
    square = save_encoder(tmp_path / "square.onnx", shape=(3, 4))
    bank = save_bank(tmp_path / "square.npz", ROWS.reshape(5, 3, 4))
    model = open_model(square, Preprocessing(bank=str(bank), metric="l2"))
    assert model.manifest.label is not None
    assert (model.manifest.label.shape, model.manifest.label.several) == ((3, 4), 1)
    np.testing.assert_allclose(
        model.answer(images(3)).scores, opened(folder, metric="l2").answer(images(3)).scores, atol=1e-5
    )


def test_the_output_that_fits_the_bank_is_taken(folder, tmp_path):
    path = save_encoder(tmp_path / "further.onnx", further=True)
    model = open_model(path, Preprocessing(bank=str(folder / "rows.npz")))
    assert model.understood is not None
    assert model.understood.output.name == "image_embeds"
    np.testing.assert_allclose(
        model.answer(images(3)).scores, opened(folder).answer(images(3)).scores, atol=1e-6
    )


def test_uneven_members_count_alike_on_average(folder, tmp_path):
    members = (3, 1, 2, 3, 3)
    labels = SEVERAL.copy()
    for k, count in enumerate(members):
        labels[k] = SEVERAL[k][np.arange(3) % count]
    bank = LabelBank("gallery", labels, tuple("abcde"), members=members)
    bank.save(tmp_path / "gallery.npz")
    assert LabelBank.load(tmp_path / "gallery.npz").members == members
    points = embedded(images(4))
    by_pool: dict[Pool, Callable] = {"max": np.max, "mean": np.mean}
    for pool, reduce in by_pool.items():
        options = Preprocessing(bank=str(tmp_path / "gallery.npz"), metric="dot", pool=pool)
        scores = open_model(folder / "encoder.onnx", options).answer(images(4)).scores
        near = [reduce(points @ SEVERAL[k, :count].T, axis=1) for k, count in enumerate(members)]
        np.testing.assert_allclose(scores, np.stack(near, 1), atol=1e-5)


def test_torchscript_encoders_answer_alike(folder, tmp_path):
    class Encoder(torch.nn.Module):
        def forward(self, x):
            return {"hidden": x, "embeds": torch.tanh(x.flatten(1) @ torch.from_numpy(WEIGHTS))}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated upstream; users have such files
        traced = torch.jit.trace(Encoder(), torch.rand(2, 3, SIDE, SIDE), strict=False)
        torch.jit.save(traced, str(tmp_path / "encoder.pt"))
    pictures, classes = images(5), np.arange(5)
    for metric in METRICS:
        bank = "signs.npz" if metric == "hamming" else "several.npz"
        ours = opened(folder, bank, metric=metric, pool="mean", threshold=0.4)
        theirs = open_model(
            tmp_path / "encoder.pt",
            Preprocessing(bank=str(folder / bank), metric=metric, pool="mean", threshold=0.4),
        )
        assert theirs.manifest == ours.manifest
        for one, other in zip(
            vars(ours.answer(pictures)).values(), vars(theirs.answer(pictures)).values(), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-5)
        slopes = [Target(m).gradient(pictures, classes, "margin") for m in (ours, theirs)]
        np.testing.assert_allclose(*slopes, rtol=0, atol=1e-5)


def test_settings_beside_the_file_name_the_bank(folder, tmp_path):
    save_encoder(tmp_path / "m.onnx")
    save_bank(tmp_path / "b.npz", ROWS)
    (tmp_path / "m.toml").write_text('bank = "b.npz"\nmetric = "l2"\nthreshold = 0.5\nlogit_scale = 3\n')
    model = open_model(tmp_path / "m.onnx")
    assert model.manifest.label is not None
    assert model.manifest.label.metric == "l2"
    assert model.manifest.decoding.threshold == 0.5


@pytest.mark.parametrize(
    ("bank", "options", "message"),
    [
        (ROWS[:, :8], {}, "labels have 8 numbers, but the output 'image_embeds' of encoder.onnx has 12"),
        (np.where(np.arange(WIDTH) == 2, np.nan, ROWS), {}, "label of 'class 0' has an entry that is not"),
        (np.full((3, WIDTH), 1e300), {}, "not a finite number in float32"),
        (ROWS[:1], {}, "the bank has one class"),
        (ROWS, {"classes": ["a", "b", "a", "c", "d"]}, "'a' appears twice; give several labels of a class"),
        (ROWS, {"classes": ["a", "b"]}, "must hold 5 names"),
        (ROWS, {"metric": "hamming"}, "needs a bank of bits, 0 and 1 or -1 and 1"),
        (ROWS, {"threshold": 0.4}, "in the units of a metric; say which"),
        (ROWS, {"threshold": 35, "metric": "cosine"}, "no cosine similarity, which is between -1 and 1"),
        (ROWS, {"threshold": -1, "metric": "l2"}, "no l2 distance"),
        (ROWS, {"logit_scale": 0.0}, "--logit-scale must be positive"),
        (ROWS * (np.arange(5) != 2)[:, None], {"metric": "cosine"}, "'class 2' is all zeros"),
        (np.array(["a", "b"]), {}, "must hold numbers"),
        (np.zeros((0, WIDTH)), {}, "must hold numbers"),
    ],
)  # fmt: skip
def test_banks_that_cannot_be_used_are_refused_in_one_line(bank, options, message, folder, tmp_path):
    classes = options.pop("classes", None) or [f"class {k}" for k in range(len(bank))]
    path = tmp_path / "bad.npz"
    np.savez(path, bank=bank, classes=np.array(classes, dtype="U9"))
    with pytest.raises(VivavoceError, match="^[^\n]*" + message.replace("(", r"\(")) as refused:
        open_model(folder / "encoder.onnx", Preprocessing(bank=str(path), **options))
    assert "\n" not in str(refused.value)
    assert "bad.npz" in str(refused.value) or "--" in str(refused.value)


def test_options_of_a_bank_need_one(folder):
    for options in (
        Preprocessing(metric="cosine"),
        Preprocessing(pool="mean"),
        Preprocessing(threshold=0.3),
        Preprocessing(logit_scale=100.0),
    ):
        with pytest.raises(VivavoceError, match="needs --bank"):
            open_model(folder / "encoder.onnx", options)
    with pytest.raises(VivavoceError, match="no such label bank"):
        opened(folder, "gone.npz")
    with pytest.raises(VivavoceError, match=r"give their label bank with --bank BANK\.npz"):
        open_model(folder / "encoder.onnx")


def test_ten_thousand_classes(folder, tmp_path):
    rows = np.random.default_rng(0).normal(size=(10_000, WIDTH)).astype(np.float32)
    save_bank(tmp_path / "many.npz", rows)
    model = open_model(folder / "encoder.onnx", Preprocessing(bank=str(tmp_path / "many.npz"), metric="l2"))
    near = -np.linalg.norm(embedded(images(2))[:, None] - rows, axis=2)
    label = model.manifest.label
    assert label is not None
    np.testing.assert_allclose(model.answer(images(2)).scores * label.temperature, near, atol=1e-5)


def test_gradients_pass_the_last_tanh_of_predicted_bits(folder, tmp_path):
    model = onnx.load(folder / "encoder.onnx")
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(WEIGHTS * np.float32(1e6), "w"))
    onnx.save(model, tmp_path / "sure.onnx")
    sure = OnnxModel(tmp_path / "sure.onnx", Preprocessing(bank=str(folder / "bits.npz"), metric="hamming"))
    outputs, goals = sure.answer(images(4)), np.arange(4)
    assert outputs.label is not None
    assert np.abs(outputs.label).min() > 1 - 1e-6
    found = Target(sure).gradient(images(4), goals, "margin").reshape(4, -1)
    others = np.where(np.arange(5) == goals[:, None], -np.inf, outputs.scores).argmax(1)
    wanted = (BITS[others] - BITS[goals]) @ WEIGHTS.T  # as if the bits were the logits
    for one, other in zip(found, wanted, strict=True):
        assert one @ other > 0.9 * np.linalg.norm(one) * np.linalg.norm(other) > 0
    assert {entry.operator: entry.status for entry in support(sure.graph)}["Tanh"] == "estimated"
