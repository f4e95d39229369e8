"""What the tests of audits share."""

import pytest

from vivavoce.audit.diagnosis import probes


@pytest.fixture
def few_probes(monkeypatch):
    """Let the diagnosis, where it is not what is tested, look at a quarter of its images."""
    monkeypatch.setattr(probes, "IMAGES", probes.FEWEST)
