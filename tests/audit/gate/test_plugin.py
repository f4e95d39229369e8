"""The pytest fixture, in a pytest of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from breaking import changed, with_noise
from small import small_digits

TESTS = """
def test_robust(vivavoce):
    vivavoce.audit("model.onnx", limit=20).assert_robust(epsilon=0.02, at_least=0.5)

def test_not_so_robust(vivavoce):
    vivavoce.audit("model.onnx", limit=20).assert_robust(epsilon=0.3, at_least=0.9)

def test_no_regression(vivavoce):
    vivavoce.audit("model.onnx").assert_no_regression("model.json")

def test_regression(vivavoce):
    vivavoce.audit("broken.onnx").assert_no_regression("model.json", max_drop=2)
"""


def run(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    home = tmp_path_factory.mktemp("project")
    model = str(small_digits(home / "model.onnx"))
    changed(model, home / "broken.onnx", with_noise(3))
    (home / "test_model.py").write_text(TESTS)
    few = ["--limit", "30", "--attack", "fgsm", "--epsilon", "0.1", "--output", "model.json"]
    audit = [Path(sys.executable).parent / "audit", "robustness", "model.onnx", *few]
    subprocess.run(audit, cwd=home, check=True, capture_output=True)
    return run(home, "test_model.py")


def test_what_holds_passes_and_what_does_not_fails(done):
    assert "2 failed, 2 passed" in done.stdout, done.stdout
    assert "FAILED test_model.py::test_not_so_robust" in done.stdout
    assert "FAILED test_model.py::test_regression" in done.stdout


def test_the_message_is_the_table(done):
    assert "AssertionError: regression: " in done.stdout
    assert re.search(r"^E +row +before +after +points +lost +gained", done.stdout, re.MULTILINE)
    assert "is under 90.0%" in done.stdout
    assert "clean accuracy" in done.stdout


def test_silent_and_light_unless_used(tmp_path):
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n"
        "def test_nothing():\n"
        "    assert 'vivavoce.audit.pytest_plugin' in sys.modules\n"
        "    assert not {'numpy', 'onnx', 'onnxruntime', 'msgspec', 'rich', 'typer'} & set(sys.modules)\n"
    )
    # other plugins of this environment may import anything
    done = run(tmp_path, "-p", "vivavoce.audit.pytest_plugin", "--disable-plugin-autoload", "test_nothing.py")
    assert done.returncode == 0, done.stdout
    assert "vivavoce" not in done.stdout
    shown = run(tmp_path, "--fixtures", "test_nothing.py")
    assert "Audits of exported image classifiers" in shown.stdout
