"""The audit against independent loops: torch's autograd, and an attack library, on the same weights."""

import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vivavoce.artifacts import open_model
from vivavoce.artifacts.onnx_model import OnnxModel
from vivavoce.audit.evaluate import evaluate
from vivavoce.audit.protocol import resolve, target_classes
from vivavoce.audit.target import Target
from vivavoce.export.build import export_run
from vivavoce.gradient.session import InputGradient
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float
from vivavoce.train.model import Contract
from vivavoce.train.run import load_trained

NAMES = ["digits-speech", "digits-category"]
EPSILONS = [0.15]
COUNT = 100


@pytest.fixture(scope="module", params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def twin(name, runs) -> Contract:
    """The torch model behind a shipped file."""
    _, bank, model, _ = load_trained(runs / name)
    return Contract(model, bank).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def evaluation(name):
    return audited(open_model(name))


def digits(count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    """The first images, float32 [count, 3, 32, 32], and their classes."""
    images = open_images("digits")
    return to_float(images.pixels(np.arange(count), Fit(32, 32))), images.labels[:count]


def audited(model, count=COUNT, epsilons=EPSILONS, attacks=()):
    protocol = resolve("paper", attacks=attacks, epsilons=epsilons)
    return evaluate(Target(model), open_images("digits"), np.arange(count), protocol, seed=0, batch_size=100)


def torch_loss(outputs, classes):
    """The paper's loss: smooth L1 to the class's label, or cross-entropy; one per image."""
    if len(outputs) == 3:
        return outputs[2].gather(1, classes[:, None]).squeeze(1)
    return F.cross_entropy(outputs[0], classes, reduction="none")


def torch_gradient(model, images, classes):
    image = images.clone().requires_grad_(True)
    return torch.autograd.grad(torch_loss(model(image), classes).sum(), image)[0]


def near_kinks(twin, images) -> np.ndarray:
    """Images for which some ReLU's input is nearer to zero than float32 resolves: bool [N].

    There the gradient jumps, and on which side an implementation falls is chance.
    """
    nearest = []

    def look(module, inputs, output):
        size = inputs[0].abs().flatten(1)
        nearest.append(size.min(1).values / size.max(1).values)

    def look_after(module, inputs, output):
        look(module, (output,), None)

    kinds = (torch.nn.ReLU, torch.nn.LeakyReLU)
    hooks = [m.register_forward_hook(look) for m in twin.modules() if isinstance(m, kinds)]
    norms = (m for m in twin.modules() if isinstance(m, torch.nn.BatchNorm2d))
    hooks += [m.register_forward_hook(look_after) for m in norms]
    twin(torch.from_numpy(images).double())
    for hook in hooks:
        hook.remove()
    return torch.stack(nearest).min(0).values.numpy() < np.finfo(np.float32).eps


def test_gradient_against_float64(name, twin):
    images, labels = digits(100)
    loss = "smooth-l1" if "speech" in name else "cross-entropy"
    model = open_model(name)
    assert isinstance(model, OnnxModel)
    _, ours, _ = InputGradient(model.graph, loss)(images, labels)
    torch32 = torch_gradient(twin, torch.from_numpy(images), torch.from_numpy(labels)).numpy()
    twin.double()
    exact = torch_gradient(twin, torch.from_numpy(images).double(), torch.from_numpy(labels)).numpy()
    kinks = near_kinks(twin, images)
    twin.float()
    size = np.abs(exact).max((1, 2, 3))
    ours_off, torch_off = (np.abs(g - exact).max((1, 2, 3)) / size for g in (ours, torch32))
    assert np.median(ours_off) <= 1e-5
    assert ours_off[~kinks].max() <= 2 * torch_off.max()
    assert kinks.mean() < 0.1


def torch_attack(model, images, goals, sign, steps, radius):
    """x' = x + sign * step * sign(gradient), in the box and in 0..1; written apart from the package."""
    current = images.clone()
    for _ in range(steps):
        step = sign * radius / steps * torch_gradient(model, current, goals).sign()
        current = torch.max(torch.min(current + step, images + radius), images - radius).clamp(0, 1)
    return current


def test_accuracies_against_a_torch_loop(name, twin, evaluation):
    assert len(evaluation.outcomes) == 4
    compare_with_torch(name, twin, evaluation)


@pytest.mark.full
def test_every_epsilon_on_every_image(name, twin):
    compare_with_torch(name, twin, audited(open_model(name), 360, ()))


def compare_with_torch(name, twin, evaluation):
    """At most 0.005 of the images may differ."""
    count = len(evaluation.labels)
    images, labels = (torch.from_numpy(a) for a in digits(count))
    goals = torch.from_numpy(target_classes(open_images("digits").labels, 10, 0)[:count])
    std = torch.tensor(open_model(name).manifest.input.std)[:, None, None]
    right = twin(images)[0].argmax(1) == labels
    for outcome in evaluation.outcomes:
        steps = 1 if outcome.attack == "fgsm" else 5
        chosen, sign = (goals, -1) if outcome.targeted else (labels, 1)
        outputs = twin(torch_attack(twin, images, chosen, sign, steps, outcome.epsilon * std))
        survived = (outputs[0].argmax(1) == labels) & right
        assert abs(int(survived.sum()) - int(outcome.right.sum())) <= 0.005 * count
        if len(outputs) == 3:
            near = (outputs[2].gather(1, labels[:, None])[:, 0] < 3.5).numpy() & evaluation.near
            assert abs(int(near.sum()) - int(outcome.near.sum())) <= 0.005 * count


def test_torchscript_and_onnx_of_one_run_agree(name, evaluation, runs, tmp_path):
    export_run(runs / name, tmp_path / "twin.pt")
    other = audited(open_model(tmp_path / "twin.pt"))
    for ours, theirs in zip(evaluation.outcomes, other.outcomes, strict=True):
        assert abs(int(ours.right.sum()) - int(theirs.right.sum())) <= 1
        assert abs(int(ours.near.sum()) - int(theirs.near.sum())) <= 1


def foolbox_accuracy(twin, images, labels, radius, steps):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own imports from scipy
        import foolbox

    class Scores(torch.nn.Module):
        def forward(self, x):
            return twin(x)[0]

    model = foolbox.models.pytorch.PyTorchModel(Scores().eval(), bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfPGD(abs_stepsize=radius / steps, steps=steps, random_start=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        *_, broken = attack(model, torch.from_numpy(images), torch.from_numpy(labels), epsilons=radius)
    return 1 - broken.double().mean().item()


def test_foolbox_gives_the_category_model_the_same_accuracy(runs):
    _, _, model, _ = load_trained(runs / "digits-category")
    twin = Contract(model, None).eval().requires_grad_(False)
    images, labels = digits()
    std = open_model("digits-category").manifest.input.std[0]
    evaluation = audited(open_model("digits-category"), epsilons=[0.15], attacks=["iterative"])
    for outcome in (o for o in evaluation.outcomes if not o.targeted):
        theirs = foolbox_accuracy(twin, images, labels, outcome.epsilon * std, steps=5)
        assert abs(round(theirs * COUNT) - int(outcome.right.sum())) <= 0.005 * COUNT


def test_foolbox_breaks_the_speech_model_through_its_scores(runs):
    """Cross-entropy on `scores` must not have vanishing gradients, or outsiders would report robustness."""
    _, bank, model, _ = load_trained(runs / "digits-speech")
    twin = Contract(model, bank).eval().requires_grad_(False)
    std = open_model("digits-speech").manifest.input.std[0]
    ours = next(
        o for o in audited(open_model("digits-speech"), 100, [0.3], ["iterative"]).outcomes if not o.targeted
    )
    theirs = foolbox_accuracy(twin, *digits(100), 0.3 * std, steps=20)
    assert theirs <= ours.right.mean() + 0.005
    images, labels = (torch.from_numpy(a).requires_grad_(a.dtype == np.float32) for a in digits(100))
    (gradient,) = torch.autograd.grad(F.cross_entropy(twin(images)[0], labels, reduction="sum"), images)
    assert not torch.any(gradient.abs().amax((1, 2, 3)) == 0)
