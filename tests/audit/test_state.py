"""An audit that is killed and goes on."""

import numpy as np
import pytest

from vivavoce.artifacts import open_model
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import Settings, robustness
from vivavoce.errors import VivavoceError


def settings(tmp_path, **changes):
    chosen = {"protocol": resolve("paper", epsilons=[0.0, 0.2]), "limit": 30, "batch_size": 10}
    return Settings(**(chosen | {"resume": tmp_path / "state"} | changes))


def comparable(report):
    rows = [{**{f: getattr(r, f) for f in r.__struct_fields__}, "seconds": 0} for r in report.rows]
    return rows, report.images, report.verdict, report.data, report.diagnosis


class Killed(Exception):
    pass


def killed_after(steps):
    def watch(what, done, total):
        if total and done >= steps:
            raise Killed

    return watch


def test_a_killed_audit_ends_in_the_same_report(tmp_path):
    model = open_model("digits-speech")
    whole = robustness(model, settings(tmp_path, resume=None))
    with pytest.raises(Killed):
        robustness(model, settings(tmp_path), killed_after(150))
    assert (tmp_path / "state").exists()
    seen = []
    again = robustness(
        model, settings(tmp_path), lambda what, done, total: seen.append(done) if total else None
    )
    assert seen[0] > 80, "the first batch is not attacked again"
    assert comparable(again.report) == comparable(whole.report)
    assert not (tmp_path / "state").exists()
    assert len(again.evaluation.examples) == len(whole.evaluation.examples)
    for a, b in zip(again.evaluation.examples, whole.evaluation.examples, strict=True):
        np.testing.assert_array_equal(a.adversarial, b.adversarial)


def test_the_state_of_another_audit_is_refused(tmp_path):
    model = open_model("digits-category")
    with pytest.raises(Killed):
        robustness(model, settings(tmp_path), killed_after(150))
    with pytest.raises(VivavoceError, match="another audit"):
        robustness(model, settings(tmp_path, seed=1))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_a_file_that_is_no_state_is_refused(content, tmp_path):
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(VivavoceError, match="not the state"):
        robustness(open_model("digits-category"), settings(tmp_path))
