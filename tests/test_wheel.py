"""The wheel holds every tracked module and model, and works where nothing else is installed."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOMS = ("artifacts", "audit", "export", "gradient", "images", "serve", "sound", "study", "train")
FILES = "__init__.py cli.py cluster.py console.py errors.py files.py py.typed text.py".split()


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = [repository / name for name in tracked_files(repository)]
    for path in tracked:
        if path.exists():
            copy = source / path.relative_to(repository)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def tracked_files(repository) -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def test_the_wheel_holds_what_is_tracked(wheel, repository):
    held = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("vivavoce/")}
    wanted = {
        f"vivavoce/{name}"
        for name in tracked_files(repository)
        if name.split("/")[0] in ROOMS
        or name
        in (
            "__init__.py",
            "cli.py",
            "cluster.py",
            "console.py",
            "errors.py",
            "files.py",
            "text.py",
            "py.typed",
        )
    }
    assert wanted == held


def test_the_wheel_audits_where_nothing_else_is_installed(wheel, repository, tmp_path):
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(home / "bin" / "python")]
    subprocess.run([*uv, "-c", str(repository / "constraints.txt"), f"{wheel}[cpu]"], check=True)
    few = ["--limit", "20", "--epsilon", "0.2"]
    audit = [str(home / "bin" / "audit"), "robustness", "digits-speech", *few]
    done = subprocess.run(audit, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "robust accuracy" in done.stdout
    check = "import sys; from importlib.util import find_spec; sys.exit(find_spec('torch') is not None)"
    assert subprocess.run([home / "bin" / "python", "-c", check], check=False).returncode == 0
