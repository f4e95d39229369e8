"""Fixtures that many tests share."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

# Before torch is imported: waiting threads must not spin, or they take the cores from onnxruntime's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Where several processes share the tests, each has one thread.
if SHARED := "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Audits keep their reports where the tests don't leave them.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="vivavoce-state-")

import onnx
import pytest
from filelock import FileLock
from small import small_digits
from wheels import build_wheel

from vivavoce.artifacts import open_model
from vivavoce.artifacts.runtime import use_threads

if SHARED:
    use_threads(1)


def reference_data(*parts: str) -> Path:
    """A path in the folder of reference data that CONTRIBUTING.md describes; without it the test skips."""
    home = os.environ.get("VIVAVOCE_TEST_DATA") or Path(__file__).parents[2] / "shared"
    path = Path(home, *parts)
    if not path.exists():
        pytest.skip(f"no reference data {'/'.join(parts)}; set VIVAVOCE_TEST_DATA, see CONTRIBUTING.md")
    return path


@pytest.fixture(scope="session")
def reference_labels() -> Path:
    """The label arrays and recordings that the authors of Chen et al. 2021 published."""
    return reference_data("reference-labels")


@pytest.fixture(scope="session")
def third_party() -> Path:
    """Exported models by other hands."""
    return reference_data("third-party", "onnx")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data."""
    return reference_data()


@pytest.fixture(scope="session")
def runs() -> Path:
    """The finished runs behind the models that ship: settings, bank and weights."""
    return Path(__file__).parent / "fixtures" / "runs"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[1]


MakeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory) -> MakeOnce:
    """Fill a folder once for all the processes that share the tests: `make_once(name, fill)` is its path."""
    base = tmp_path_factory.getbasetemp()
    home = base.parent if SHARED else base

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, begun = home / name, home / f"{name}.begun"
        with FileLock(home / f"{name}.lock"):
            if not folder.exists():
                shutil.rmtree(begun, ignore_errors=True)
                begun.mkdir()
                fill(begun)
                begun.rename(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def speaks(make_once) -> Path:
    """The digits model with its vocoder inside, an ONNX file; `test_vocoder.py` exports the same one."""

    def add(folder: Path) -> None:
        from vivavoce.sound.vocoder import add_vocoder

        shipped = open_model("digits-speech")
        model = onnx.load(shipped.path)
        assert shipped.manifest.label is not None
        add_vocoder(model, shipped.manifest.label)
        onnx.save(model, folder / "speaks.onnx")

    return make_once("speaks", add) / "speaks.onnx"


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A linear classifier of the digits, an ONNX file."""
    return small_digits(tmp_path_factory.mktemp("small") / "small.onnx")


@pytest.fixture(scope="session")
def wheel(repository, make_once) -> Path:
    """The wheel of the tracked files."""
    folder = make_once("wheel", lambda folder: build_wheel(repository, folder))
    return next(folder.glob("*.whl"))
