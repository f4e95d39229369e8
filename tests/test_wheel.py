"""The wheel holds every tracked module and model, and works where nothing else is installed."""

import subprocess
import sys
import venv
import zipfile

from wheels import tracked_files

ROOMS = ("artifacts", "audit", "export", "gradient", "images", "serve", "sound", "study", "train")
FILES = """__init__.py __main__.py cli.py cluster.py completion.py console.py documents.py drawing.py
    errors.py files.py notices.py options.py py.typed reexports.py terminal.py text.py""".split()


def test_the_wheel_holds_what_is_tracked(wheel, repository):
    held = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("vivavoce/")}
    wanted = {
        f"vivavoce/{name}"
        for name in tracked_files(repository)
        if name.split("/")[0] in ROOMS or name in FILES
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
