"""Binarised networks: attacks follow an estimated gradient besides Square, however the file writes a sign."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import decide, open_model
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Attack, Ball, Goal
from vivavoce.audit.attacks.catalogue import ATTACKS
from vivavoce.audit.attacks.square import Square
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.audit.target import Target
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float

CLASSES, WIDTH, SIDE = 10, (300, 200), 16
EPSILON = 0.05


def sign(form: str, x: str, y: str) -> list[onnx.NodeProto]:
    """The nodes of a sign that is never 0, in several exporters' ways."""
    node = helper.make_node
    p, q, r, s = (f"{y}{k}" for k in range(4))
    return {
        "sign": [node("Sign", [x], [y])],
        "twice": [node("Sign", [x], [p]), node("Add", [p, "tenth"], [q]), node("Sign", [q], [y])],  # Larq's
        "where": [node("GreaterOrEqual", [x, "zero"], [p]), node("Where", [p, "one", "minus"], [y])],
        "cast": [
            node("Less", [x, "zero"], [p]), node("Not", [p], [q]), node("Cast", [q], [r], to=1),
            node("Add", [r, r], [s]), node("Sub", [s, "one"], [y]),
        ],
    }[form]  # fmt: skip


def write_binary(path: Path, form: str) -> Path:
    """Two layers of random signs, and the least squares from them to the digits' classes."""
    rng, images = np.random.default_rng(0), open_images("digits")
    pixels = to_float(images.pixels(np.arange(len(images)), Fit(SIDE, SIDE, 1))).reshape(len(images), -1)
    first, second = (rng.choice([-1, 1], (a, b)).astype(np.float32) for a, b in ((SIDE**2, WIDTH[0]), WIDTH))
    hidden = pixels @ first
    bias = -np.median(hidden, axis=0).astype(np.float32)
    found = np.where(np.where(hidden + bias >= 0, 1, -1) @ second + 0.5 >= 0, 1, -1)
    wanted = np.eye(CLASSES)[images.labels] * 2 - 1
    last = found.T @ np.linalg.solve(found @ found.T + 100 * np.eye(len(found)), wanted)
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("Gemm", ["flat", "first", "bias"], ["a"]),
        *sign(form, "a", "b"),
        helper.make_node("Gemm", ["b", "second", "half"], ["c"]),
        *sign(form, "c", "d"),
        helper.make_node("MatMul", ["d", "last"], ["logits"]),
    ]
    constants = {
        "first": first, "bias": bias, "second": second, "half": np.full(WIDTH[1], 0.5), "last": last,
        "tenth": 0.1, "zero": 0, "one": 1, "minus": -1,
    }  # fmt: skip
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes, "binary",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(np.asarray(a, np.float32), n) for n, a in constants.items() if n in used],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def survivors(target: Target, attacks: list[Attack], count: int) -> np.ndarray:
    """Which of the first digits are right and survive: bool [count]."""
    images = open_images("digits")
    clean, labels = to_float(images.pixels(np.arange(count), Fit(SIDE, SIDE, 1))), images.labels[:count]
    ball = Ball("linf", np.full((1, 1, 1), EPSILON, np.float32))
    standing = decide(target.answer(clean).scores) == labels
    for attack in attacks:
        left = np.flatnonzero(standing)
        streams = Streams.of(0, attack.name, left)
        (out,) = attack.sweep(target, clean[left], Goal(labels[left]), [ball], streams)
        out = ball.confine(out, clean[left])
        standing[left] = decide(target.answer(out).scores) == labels[left]
    return standing


@pytest.mark.parametrize("form", ["sign", "twice", "where", "cast"])
def test_the_estimate_finds_more_than_square(form, tmp_path):
    target = Target(open_model(write_binary(tmp_path / "binary.onnx", form)), straight_through=True)
    assert target.gradient_missing is None
    assert "is a step function" in (target.estimated or "")
    right = survivors(target, [], 40).sum()
    led = survivors(target, [APGD("probability-margin", steps=50)], 40).sum()
    blind = survivors(target, [Square(300)], 40).sum()
    assert right > 30
    assert led < 0.5 * blind


def test_an_audit_runs_both_and_says_so(tmp_path):
    path = write_binary(tmp_path / "binary.onnx", "sign")
    settings = Settings(protocol=resolve("fast", epsilons=[EPSILON]), data="digits", limit=20)
    report = robustness(open_model(path), settings).report
    assert [row.attack for row in report.rows] == ["apgd-pm", "apgd-malt", "square"]
    assert "straight-through estimate, because Sign at `" in report.verdict
    assert "the figure an upper bound" in report.verdict
    target = Target(open_model(path), straight_through=True)
    assert resolve("standard").fitted(target).attacks == ("apgd-ce", "apgd-t", "fab-t", "square")
    assert resolve("quick").fitted(target).attacks == ("pgd", "square-300")
    assert resolve("standard", smallest=True).fitted(target).attacks == ("fmn", "boundary-minimum")
    assert resolve("standard", ["pgd"]).fitted(target).attacks == ("pgd",)


@pytest.mark.full
@pytest.mark.parametrize("form", ["sign", "cast"])
def test_fast_finds_what_a_long_search_finds(form, tmp_path):
    """The long search starts each gradient attack ten times, and asks Square 20,000 times."""
    target = Target(open_model(write_binary(tmp_path / "binary.onnx", form)), straight_through=True)
    protocol = resolve("fast").fitted(target)
    fast = survivors(target, [ATTACKS[name] for name in protocol.attacks], 100)
    losses = ("cross-entropy", "margin", "probability-margin", "dlr")
    starts = [APGD(loss, restarts=10) for loss in losses]
    long = survivors(target, [*starts, APGD("targeted-dlr", restarts=3), Square(20_000)], 100)
    print(f"{form}: {fast.sum()} survive fast, {long.sum()} the long search")
    assert fast.sum() <= long.sum() + 1
