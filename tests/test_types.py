"""Types reach whoever calls the package: a deliberate mistake is found, and nothing else."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

CLIENT = """\
import vivavoce as vv
from vivavoce.audit import robustness


def audit(path: str) -> vv.Report:
    return robustness(vv.open_model(path), vv.Settings(limit=20)).report


audit("model.onnx").rows[0].accuracy + 1
vv.labels.build("speech", ["cat", "dog"])
vv.robustness(vv.open_model("model.onnx"), settings="quick")
"""
MISTAKE = CLIENT.count("\n")


def lines_with_errors(checker: str, python: Path, folder: Path) -> list[int]:
    """The lines of `folder/client.py` in which a type checker finds an error."""
    if checker == "mypy":
        command = ["mypy", "--cache-dir", folder / "cache", "--python-executable", python, "client.py"]
    else:
        command = ["pyright", "--pythonpath", python, "client.py"]
    # Both begin a line with the file, the line number and, for errors, that word.
    found = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    return [int(line) for line in re.findall(r"client\.py:(\d+):.*\berror\b", found.stdout)]


@pytest.fixture(scope="module", params=["editable", "wheel"])
def python(request, tmp_path_factory) -> Path:
    """An interpreter whose environment holds the package."""
    if request.param == "editable":
        return Path(sys.executable)
    home = tmp_path_factory.mktemp("installed") / "env"
    venv.create(home, with_pip=False)
    interpreter = home / "bin" / "python"
    install = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", interpreter]
    wheel = request.getfixturevalue("wheel")
    subprocess.run([sys.executable, "-m", *install, wheel], check=True)
    return interpreter


@pytest.mark.parametrize("checker", [pytest.param("mypy", marks=pytest.mark.full), "pyright"])
def test_a_callers_mistake_is_the_only_error(checker, python, tmp_path):
    (tmp_path / "client.py").write_text(CLIENT, encoding="utf-8")
    assert lines_with_errors(checker, python, tmp_path) == [MISTAKE]


def test_lint_checks_the_calls_of_tests(repository, tmp_path):
    (tmp_path / "pyproject.toml").write_bytes((repository / "pyproject.toml").read_bytes())
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "client.py").write_text(CLIENT, encoding="utf-8")
    check = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", tmp_path]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.findall(r"client\.py:(\d+):\d+ - error", done.stdout) == [str(MISTAKE)]


def test_the_package_is_found_in_this_checkout(repository, tmp_path):
    code = "import vivavoce, importlib.metadata as m; print(*vivavoce.__path__, m.version('vivavoce'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    path, version = done.stdout.split()
    assert Path(path).resolve() == repository.resolve()
    assert f'version = "{version}"' in (repository / "pyproject.toml").read_text(encoding="utf-8")
