"""Trained encoders with label banks: CLIP-like, face-like, prototypes, and a published defence by codes."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from commands import inside
from networks import to_onnx
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.audit.cli import main as audit
from vivavoce.audit.report import Report, load_report
from vivavoce.cli import main as vivavoce
from vivavoce.train.data import open_splits
from vivavoce.train.labels import build

pytestmark = pytest.mark.full
SIDE = 16
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEMPLATES = ("a photo of a {}", "a drawing of the digit {}")
VOCABULARY = ("[PAD]", "[UNK]", "a", "photo", "of", "drawing", "the", "digit", *WORDS)


@dataclass(frozen=True)
class Digits:
    """Digits of 16 pixels a side: images [N, 3, 16, 16] in 0..1, and classes [N]."""

    images: Tensor
    classes: Tensor
    held_out: Tensor
    held_out_classes: Tensor


@pytest.fixture(scope="module")
def digits() -> Digits:
    splits = open_splits("digits", 0, side=2 * SIDE)
    pairs = [(torch.from_numpy(s.images[:]).float()[:, :, ::2, ::2] / 255, torch.from_numpy(s.classes))
             for s in (splits.train, splits.test)]  # fmt: skip
    return Digits(*pairs[0], *pairs[1])


def network(out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64,
        out),
    )  # fmt: skip


def train(
    parts: list[nn.Module], images: Tensor, loss: Callable[[Tensor, Tensor], Tensor], epochs: int = 12
) -> None:
    """Train on noisy images; `loss` maps images and their places to a loss."""
    optimiser = torch.optim.Adam([p for part in parts for p in part.parameters()], 2e-3)
    draw = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for places in torch.randperm(len(images), generator=draw).split(64):
            noisy = images[places] + 0.1 * torch.randn(images[places].shape, generator=draw)
            optimiser.zero_grad()
            loss(noisy.clamp(0, 1), places).backward()
            optimiser.step()
    for part in parts:
        part.eval()


def save(module: nn.Module, path: Path) -> None:
    """As a file of unknown origin, whose output is an embedding."""
    model = to_onnx(module.eval(), size=SIDE)
    for names in (*(node.output for node in model.graph.node), *(node.input for node in model.graph.node)):
        for k, name in enumerate(names):
            names[k] = {"scores": "image_embeds", "image": "pixel_values"}.get(name, name)
    model.graph.output[0].name, model.graph.input[0].name = "image_embeds", "pixel_values"
    onnx.save(model, path)


def save_data(path: Path, images: Tensor, classes: Tensor, names: list[str]) -> None:
    pixels = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    np.savez(path, images=pixels, labels=classes.numpy(), classes=np.array(names))


def run(main: Callable[[], None], folder: Path, *arguments: object) -> str:
    done = inside(main, *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def report(folder: Path, *arguments: object) -> Report:
    run(audit, folder, "robustness", *arguments, "-o", "r.json")
    return load_report(folder / "r.json")


class Bits(nn.Module):
    """One bit an output, in -1..1."""

    def __init__(self, logits: nn.Module) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.logits(image))


class Defence(nn.Module):
    """Verma & Swami (2019): the probability of a class is its correlation with the bits, if positive."""

    def __init__(self, bits: nn.Module, words: Tensor) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("words", words.T.clone())

    def forward(self, image: Tensor) -> Tensor:
        correlation = torch.relu(self.bits(image) @ self.get_buffer("words"))
        return correlation / correlation.sum(1, keepdim=True)


def test_codes_that_looked_robust_fall_on_their_decoding(digits, tmp_path):
    torch.manual_seed(0)
    bank = build("ecoc", [str(k) for k in range(10)])
    assert bank is not None
    bank.save(tmp_path / "code.npz")
    words = torch.from_numpy(bank.labels)
    logits, twin = network(words.shape[1]), network(10)
    # A hinge with a margin of 10 on every bit: sure bits, whose tanh is flat.
    train([logits], digits.images, lambda x, i: F.relu(1 - logits(x) * words[digits.classes[i]] / 10).mean())
    train([twin], digits.images, lambda x, i: F.cross_entropy(twin(x), digits.classes[i]))
    bits = Bits(logits)
    save(bits, tmp_path / "bits.onnx")
    onnx.save(to_onnx(Defence(bits, words).eval(), size=SIDE), tmp_path / "defence.onnx")
    onnx.save(to_onnx(twin.eval(), size=SIDE), tmp_path / "twin.onnx")
    save_data(tmp_path / "d.npz", digits.held_out, digits.held_out_classes, [str(k) for k in range(10)])
    base = ("--data", "d.npz", "--limit", 150, "--protocol", "paper", "--epsilon", 0.1)
    base = (*base, "--epsilon-space", "pixel")
    paper = ("--attack", "iterative")
    defence = report(tmp_path, "defence.onnx", *base, *paper)
    one_hot = report(tmp_path, "twin.onnx", *base, *paper)
    decoded = report(tmp_path, "bits.onnx", "--bank", "code.npz", *base, "--attack", "apgd-margin")
    assert min(r.clean.accuracy for r in (defence, one_hot, decoded)) > 0.9
    looks, twins, falls = (r.rows[0].accuracy for r in (defence, one_hot, decoded))
    print(f"defence under its paper's attack {looks:.1%}, one-hot twin {twins:.1%}, decoding {falls:.1%}")
    assert looks > twins + 0.1  # the defence looks more robust
    assert falls < looks - 0.2  # and is not
    assert falls <= twins + 0.02
    levels = {check.name: check.level for check in defence.diagnosis}
    assert "masked" in levels.values(), levels
    assert "masked" not in {check.level for check in one_hot.diagnosis}


class Texts(nn.Module):
    """The mean of the words' vectors, without the padding."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(VOCABULARY), 32)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        share = attention_mask.float()[:, :, None]
        return (self.words(input_ids) * share).sum(1) / share.sum(1)


def tokenised(texts: list[str]) -> tuple[Tensor, Tensor]:
    rows = [[VOCABULARY.index(word) for word in text.split()] for text in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return ids, (ids != 0).long()


def test_a_pair_like_clip_reads_digits_without_a_classifier(digits, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    encoder, texts = network(32), Texts()

    def contrastive(images: Tensor, places: Tensor) -> Tensor:
        names = [WORDS[k] for k in digits.classes[places]]
        captions = [TEMPLATES[k % 2].replace("{}", name) for k, name in enumerate(names)]
        seen, read = F.normalize(encoder(images)), F.normalize(texts(*tokenised(captions)))
        same = torch.tensor([[a == b for b in names] for a in names]).float()
        logits = 20 * seen @ read.T
        targets = same / same.sum(1, keepdim=True)
        return F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)

    train([encoder, texts], digits.images, contrastive)
    save(encoder, tmp_path / "image.onnx")
    ids, mask = tokenised(["a photo of a one", "the digit two"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about itself
        torch.onnx.export(
            texts, (ids, mask), tmp_path / "text.onnx", dynamo=False, opset_version=17,
            input_names=["input_ids", "attention_mask"], output_names=["text_embeds"],
            dynamic_axes={name: {0: "N", 1: "T"} for name in ("input_ids", "attention_mask")},
        )  # fmt: skip
    tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "names.txt").write_text("\n".join(WORDS))
    templates = [part for template in TEMPLATES for part in ("--template", template)]
    base = ("labels", "build", "--kind", "text", "--text-model", "text.onnx", "--classes", "names.txt")
    run(vivavoce, tmp_path, *base, *templates, "-o", "bank.npz")
    save_data(tmp_path / "d.npz", digits.held_out, digits.held_out_classes, list(WORDS))
    bank = ("--bank", "bank.npz", "--logit-scale", 20)
    found = report(tmp_path, "image.onnx", *bank, "--data", "d.npz", "--limit", 100, "--protocol", "quick")
    print(
        f"zero-shot accuracy {found.clean.accuracy:.1%}, under quick {[row.accuracy for row in found.rows]}"
    )
    assert found.clean.accuracy > 0.9
    assert all(check.level == "fine" for check in found.diagnosis), found.diagnosis
    assert min(row.accuracy for row in found.rows) < found.clean.accuracy
    run(vivavoce, tmp_path, "export", "image.onnx", *bank, "-o", "bound.onnx")
    bound = report(tmp_path, "bound.onnx", "--data", "d.npz", "--limit", 100, "--protocol", "quick")
    assert [row.accuracy for row in bound.rows] == [row.accuracy for row in found.rows]


@pytest.fixture(scope="module")
def people(digits, tmp_path_factory) -> Path:
    """An embedding learned on the digits 0 to 6, and images of 7 to 9, which are new to it: half to enrol."""
    folder = tmp_path_factory.mktemp("people")
    torch.manual_seed(0)
    encoder, centres = network(16), nn.Linear(16, 7, bias=False)
    known = digits.classes < 7

    def loss(images: Tensor, places: Tensor) -> Tensor:
        cosines = F.normalize(encoder(images)) @ F.normalize(centres.weight).T
        return F.cross_entropy(15 * cosines, digits.classes[known][places])

    train([encoder, centres], digits.images[known], loss, 20)
    save(encoder, folder / "faces.onnx")
    images = torch.cat([digits.images, digits.held_out])
    classes = torch.cat([digits.classes, digits.held_out_classes])
    new = torch.nonzero(classes > 6).flatten()
    new = new[torch.randperm(len(new))]
    names = ["seven", "eight", "nine"]
    save_data(folder / "enrol.npz", images[new[:200]], classes[new[:200]] - 7, names)
    save_data(folder / "claim.npz", images[new[200:400]], classes[new[200:400]] - 7, names)
    return folder


def test_identities_that_training_never_saw_are_verified(people):
    base = ("labels", "build", "--kind", "gallery", "--encoder", "faces.onnx", "--data", "enrol.npz")
    run(vivavoce, people, *base, "--keep", "all", "-o", "all.npz")
    bank = ("--bank", "all.npz", "--metric", "cosine", "--threshold", 0.95)
    asked = ("--data", "claim.npz", "--epsilon", 0.06, "--limit", 100, "--false-accept", 0.05, "--json")
    verified = json.loads(run(audit, people, "verify", "faces.onnx", *bank, *asked))
    print(json.dumps(verified))
    own, clean, attacked = (verified[name] for name in ("own", "clean", "attacked"))
    assert own["false_accept_attacked"]["share"] > own["false_accept"]["share"] + 0.2
    assert own["false_reject_attacked"]["share"] > own["false_reject"]["share"] + 0.2
    assert clean["false_accept"]["share"] <= 0.05
    assert attacked["false_accept_attacked"]["share"] <= 0.05
    assert attacked["threshold"] > clean["threshold"]
    assert attacked["false_reject"]["share"] > clean["false_reject"]["share"]
    found = report(people, "faces.onnx", *bank, "--data", "claim.npz", "--limit", 60, "--protocol", "quick")
    assert found.clean.accuracy > 0.85


def test_prototypes_of_new_classes(people):
    built = run(vivavoce, people, "labels", "build", "--kind", "gallery", "--encoder", "faces.onnx", "--data",
                "enrol.npz", "--metric", "l2", "-o", "means.npz")  # fmt: skip
    assert "leave one out 0." in built
    found = report(people, "faces.onnx", "--bank", "means.npz", "--data", "claim.npz", "--limit", 60,
                   "--protocol", "quick")  # fmt: skip
    assert found.model.manifest.label is not None
    assert found.model.manifest.label.metric == "l2"
    assert found.clean.accuracy > 0.75
