"""The public names of the package, and the lines of use in its docstring."""

import inspect
import subprocess
import sys
import textwrap

import pytest

import vivavoce
import vivavoce.audit


@pytest.mark.parametrize("package", [vivavoce, vivavoce.audit])
def test_every_public_name_is_there(package):
    assert dir(package) == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'robustnes'"):
        _ = package.robustnes


def test_public_names_are_those_of_their_modules():
    from vivavoce.audit.run import robustness
    from vivavoce.train.labels.kinds import build

    assert vivavoce.robustness is robustness
    assert vivavoce.labels.build is build


def test_the_lines_of_the_docstring_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    paragraphs = inspect.cleandoc(vivavoce.__doc__ or "").split("\n\n")
    code = "\n".join(textwrap.dedent(p) for p in paragraphs if p.startswith("    "))
    code = code.replace("limit=50", "limit=8")
    names: dict = {}
    exec(code, names)
    assert names["checked"].comparison.passed
    assert names["slopes"].shape == (2, 3, 32, 32)
    assert "True" in capsys.readouterr().out


def test_python_dash_m_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "vivavoce", "classify", "no-such.png"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no-such.png" in done.stderr
