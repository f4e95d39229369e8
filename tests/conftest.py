import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material beside the checkout (or where VIVAVOCE_SHARED says); tests skip without it."""
    beside = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("VIVAVOCE_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"no reference material: neither VIVAVOCE_SHARED nor {beside.name}/ beside the checkout")
    return folder


@pytest.fixture(scope="session")
def third_party(shared: Path) -> Path:
    """Real models by other hands."""
    folder = shared / "third-party" / "onnx"
    if not folder.is_dir():
        pytest.skip("the reference material has no third-party models")
    return folder
