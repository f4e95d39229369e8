"""What ships for continuous integration: the action, the pre-commit hook, the snippet for GitLab."""

import os
import re
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml
from breaking import changed, softmax
from small import small_digits

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A user's folder: a model, its baseline, a masked model."""
    home = tmp_path_factory.mktemp("project")
    model = str(small_digits(home / "model.onnx"))
    changed(model, home / "masked.onnx", softmax)
    few = ["--limit", "20", "--attack", "fgsm", "--epsilon", "0.1", "--output", "baseline.json"]
    command = [BIN / "audit", "robustness", "model.onnx", *few]
    subprocess.run(command, cwd=home, check=True, capture_output=True)
    return home


@pytest.fixture(scope="module")
def action(repository):
    return yaml.safe_load((repository / "action.yml").read_text())


def shell(script, cwd, environment) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub's runner does."""
    file = Path(environment["RUNNER_TEMP"]) / "step.sh"
    file.write_text(script)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(file)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def runner(folder: Path, step, inputs, path) -> dict[str, str]:
    """The environment of a step."""
    values = {
        name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], text)
        for name, text in step.get("env", {}).items()
    }
    for name in ("summary", "output"):
        (folder / name).touch()
    kept = {k: v for k, v in os.environ.items() if k in ("HOME", "LANG") or k.startswith(("PIP_", "UV_"))}
    told = {
        "PATH": f"{path}:{os.environ['PATH']}", "RUNNER_TEMP": str(folder), "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(folder / "summary"), "GITHUB_OUTPUT": str(folder / "output"),
    }  # fmt: skip
    return kept | told | values


def check_step(action):
    return next(step for step in action["runs"]["steps"] if step.get("id") == "check")


@pytest.mark.parametrize(("model", "status"), [("model.onnx", 0), ("masked.onnx", 1), ("gone.onnx", 2)])
def test_the_action_checks_as_its_shell_would(action, project, tmp_path, model, status):
    defaults = {name: entry.get("default", "") for name, entry in action["inputs"].items()}
    inputs = defaults | {
        "model": model,
        "baseline": "baseline.json",
        "arguments": "--max-drop 2 --alpha 0.01",
    }
    step = check_step(action)
    done = shell(step["run"], project, runner(tmp_path, step, inputs, BIN))
    assert done.returncode == status, done.stdout + done.stderr
    summary, output = ((tmp_path / name).read_text() for name in ("summary", "output"))
    if status == 2:
        assert "no such model" in done.stderr
        assert not summary
        assert not output
        return
    assert summary.startswith("## ❌" if status else "## ✅")
    assert ("::error" if status else "::notice") in done.stdout
    written = dict(line.split("=", 1) for line in output.splitlines())
    assert set(written) == set(action["outputs"])
    assert all(Path(path).is_file() for path in written.values())


@pytest.mark.full
def test_the_action_installs_itself(action, repository, tmp_path):
    """In an environment that has the dependencies already, so that only this package is built."""
    source, home = tmp_path / "action", tmp_path / "env"
    listed = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if not name.startswith("tests/") and (repository / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, source / name)
    venv.create(home, with_pip=True, symlinks=True)
    (there,) = home.glob("lib/python*/site-packages")
    (there / "here.pth").write_text(site.getsitepackages()[0])
    step = next(step for step in action["runs"]["steps"] if "Install" in step.get("name", ""))
    environment = runner(tmp_path, step, {}, home / "bin") | {"GITHUB_ACTION_PATH": str(source)}
    done = shell(step["run"], tmp_path, environment)
    assert done.returncode == 0, done.stderr
    command = [home / "bin" / "vivavoce", "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "onnxruntime" in told.stdout
    assert (there / "vivavoce" / "audit" / "gate").is_dir()


def test_the_action_is_well_formed(action):
    assert action["runs"]["using"] == "composite"
    for step in action["runs"]["steps"]:
        assert "uses" in step or {"run", "shell"} <= step.keys()
    used = set(re.findall(r"inputs\.(\w+)", str(action["runs"])))
    assert used == set(action["inputs"])


def test_the_pre_commit_hook_is_valid_and_runs(repository, project):
    file = repository / ".pre-commit-hooks.yaml"
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-manifest", file], check=True)
    (hook,) = yaml.safe_load(file.read_text())
    command = [*hook["entry"].split(), "masked.onnx", "--baseline", "baseline.json"]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, check=False)
    assert done.returncode == 1


def test_the_gitlab_snippet_runs(repository, project, tmp_path):
    text = (repository / "docs" / "check.md").read_text()
    snippet = next(s for s in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "codequality" in s)
    (job,) = yaml.safe_load(snippet).values()
    install, check = job["script"]
    assert install.startswith("pip install")
    environment = runner(tmp_path, {}, {}, BIN)
    done = shell(check, project, environment)
    assert done.returncode == 0, done.stderr
    for file in job["artifacts"]["reports"].values():
        assert (project / file).is_file()
