"""The wheel of this checkout."""

import subprocess
import sys
from pathlib import Path


def tracked_files(repository: Path) -> list[str]:
    """The files that git tracks."""
    listed = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def build_wheel(repository: Path, folder: Path) -> None:
    """Build the wheel of the tracked files into `folder`."""
    source = folder / "source"
    for path in (repository / name for name in tracked_files(repository)):
        if path.exists():
            copy = source / path.relative_to(repository)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
