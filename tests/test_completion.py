"""What shells complete, and what an error suggests for a name that is spelt wrong."""

import pytest
from commands import inside

from vivavoce.audit.cli import main as audit
from vivavoce.cli import main as vivavoce

COMPLETIONS = [
    (audit, "audit robustness digits-robust", {"digits-robust-category", "digits-robust-speech"}),
    (audit, "audit robustness model.onnx --attack apgd-c", {"apgd-ce"}),
    (audit, "audit explain model.onnx image.png --method gr", {"grad-cam", "gradient-x-input"}),
    (vivavoce, "vivavoce audit check model.onnx --data fash", {"fashion-mnist"}),
    (vivavoce, "vivavoce train --dataset cifar", {"cifar10", "cifar100"}),
    (vivavoce, "vivavoce train --label uni", {"uniform-random"}),
    (vivavoce, "vivavoce labels build --kind shuf", {"shuffled-speech"}),
    (vivavoce, "vivavoce train --encoder air", {"airbench"}),
    (vivavoce, "vivavoce train --recipe air", {"airbench"}),
    (vivavoce, "vivavoce study run adversarial", {"adversarial-labels"}),
]


@pytest.mark.parametrize(("main", "line", "expected"), COMPLETIONS)
def test_shells_complete_names(main, line, expected):
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = inside(main, _COMMAND_COMPLETE="complete_bash", **asked)
    assert set(done.stdout.split()) == expected


MISSPELT = [
    (audit, ("robustness", "digits-speach"), "did you mean digits-speech or digits-robust-speech?"),
    (audit, ("robustness", "digits-speech", "--attack", "fgms"), "did you mean fgsm?"),
    (audit, ("robustness", "digits-speech", "--protocol", "x"), "choose one of paper, standard, fast, quick"),
    (audit, ("inspect", "digits-speech", "--data", "cifr100"), "did you mean cifar100 or cifar10?"),
    (vivavoce, ("labels", "build", "--kind", "spech", "--classes", "digits", "-o", "b.npz"), "mean speech"),
    (vivavoce, ("labels", "build", "--classes", "digitz", "-o", "b.npz"), "did you mean digits?"),
    (vivavoce, ("train", "--dataset", "digits", "--encoder", "vgg9", "--out", "r"), "did you mean vgg19?"),
    (vivavoce, ("study", "run", "adversarial-label"), "did you mean adversarial-labels?"),
]


@pytest.mark.parametrize(("main", "arguments", "expected"), MISSPELT)
def test_errors_suggest_the_nearest_name(main, arguments, expected, tmp_path):
    done = inside(main, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert expected in done.stderr
