"""Fixtures that many tests share."""

import os
from pathlib import Path

# Before torch is imported: waiting threads must not spin, or they take the cores from onnxruntime's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest


def shared_folder(*parts: str) -> Path:
    """A path in the folder of reference data, or skip the test."""
    home = os.environ.get("VIVAVOCE_SHARED") or Path(__file__).parents[2] / "shared"
    path = Path(home, *parts)
    if not path.exists():
        pytest.skip(f"reference data {'/'.join(parts)} are not on this machine (set VIVAVOCE_SHARED)")
    return path


@pytest.fixture(scope="session")
def reference_labels() -> Path:
    """The label arrays and recordings that the authors of Chen et al. 2021 published."""
    return shared_folder("reference-labels")


@pytest.fixture(scope="session")
def third_party() -> Path:
    """Exported models by other hands."""
    return shared_folder("third-party", "onnx")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data."""
    return shared_folder()


@pytest.fixture(scope="session")
def runs() -> Path:
    """The finished runs behind the models that ship: settings, bank and weights."""
    return Path(__file__).parent / "fixtures" / "runs"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[1]
