"""What audits keep to when they choose their batch size."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from networks import to_onnx

from vivavoce.artifacts import open_model
from vivavoce.audit.room import MEMORY
from vivavoce.audit.target import Target

PEAK = """
import resource, sys
from vivavoce.audit.cli import main
try:
    main()
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
"""


def test_nothing_gets_more_images_than_the_batch(small, monkeypatch):
    images = np.random.default_rng(0).random((7, 3, 32, 32), dtype=np.float32)
    goals, opened = np.arange(7), open_model(small)
    whole, limited, batches = Target(opened), Target(opened), []
    expected = *whole.loss_and_gradient(images, goals, "margin"), whole.answer(images).scores
    answer = opened.answer
    monkeypatch.setattr(opened, "answer", lambda some: batches.append(len(some)) or answer(some))
    limited.limit(3)
    found = *limited.loss_and_gradient(images, goals, "margin"), limited.answer(images).scores
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert batches == [3, 3, 1] * 2  # for the comparison of the gradient's scores with the file's, and asked
    assert limited.queries == 7


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "count"), [("resnet50", 8), ("convnext_tiny", 4), ("efficientnet_v2_s", 4), ("vit_b_16", 2)]
)
def test_a_whole_audit_keeps_to_the_memory(name, count, tmp_path):
    """Of an untrained network at 224 pixels and one batch of images, whose classes it decides for."""
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    from PIL import Image

    torch.manual_seed(0)
    network = models.get_model(name, weights=None, num_classes=10).eval()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 3, 14, 14)).astype(np.uint8).repeat(16, 2).repeat(16, 3)
    batch = torch.from_numpy(pixels / np.float32(255))
    last = [m for m in network.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        torch.nn.init.normal_(last.weight)
        last.bias.sub_(network(batch).mean(0))
        decided = network(batch).argmax(1)
    onnx.save(to_onnx(network, size=224), tmp_path / "m.onnx")
    (tmp_path / "names.txt").write_text("\n".join(f"c{k}" for k in range(10)))
    for k, (image, label) in enumerate(zip(pixels, decided.tolist(), strict=True)):
        folder = tmp_path / "data" / f"c{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{k}.png")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "robustness", tmp_path / "m.onnx", "--data", tmp_path / "data",
         "--classes", tmp_path / "names.txt", "--protocol", "quick", "--limit", str(count)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stderr.rsplit("peak ", 1)[1]) < MEMORY
