"""What commands must not import, and that help is quick to import."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "librosa", "sklearn", "matplotlib", "fastapi", "uvicorn", "prometheus_client", "ray")

COMMANDS = {
    "audit robustness": ("vivavoce.audit.cli", "['robustness', 'digits-speech', '--limit', '2']"),
    "audit inspect": ("vivavoce.audit.cli", "['inspect', 'digits-speech']"),
    "audit explain": ("vivavoce.audit.cli", "['explain', 'cifar10-speech', IMAGE, '-o', WAV + '.png']"),
    "classify": ("vivavoce.cli", "['classify', IMAGE, '--wav', WAV]"),
}


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    line = next(x for x in done.stdout.splitlines() if x.startswith("MODULES"))
    return {name.split(".")[0] for name in line.split()[1:]}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_do_not_import_frameworks(command, tmp_path):
    from PIL import Image

    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    module, arguments = COMMANDS[command]
    arguments = arguments.replace("IMAGE", repr(str(tmp_path / "a.png")))
    arguments = arguments.replace("WAV", repr(str(tmp_path / "a.wav")))
    found = modules_after(f"from {module} import app; app({arguments}, standalone_mode=False)")
    assert not found & set(HEAVY)
    assert "onnxruntime" in found


def test_the_server_needs_no_framework_of_learning():
    found = modules_after("import vivavoce.serve.server.run")
    assert not found & {"torch", "librosa", "sklearn", "matplotlib"}


@pytest.mark.parametrize("module", ["vivavoce.audit.cli", "vivavoce.cli"])
def test_help_needs_no_numpy(module):
    found = modules_after(f"import {module}")
    assert not found & {*HEAVY, "numpy", "onnx", "onnxruntime", "PIL", "msgspec", "rich"}


def test_the_package_imports_nothing():
    found = modules_after("before = set(sys.modules); import vivavoce; sys.modules.keys()")
    assert "typer" not in found
