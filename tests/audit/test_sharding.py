"""One audit in shards: the same as in one piece."""

from dataclasses import fields, replace

import numpy as np
import pytest
from comparing import without_times

from vivavoce.artifacts import open_model
from vivavoce.audit.evaluate import evaluate
from vivavoce.audit.examples import EXAMPLES
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve, target_classes
from vivavoce.audit.run import robustness
from vivavoce.audit.sharding import Shard, attack, merge
from vivavoce.audit.target import Target
from vivavoce.errors import VivavoceError
from vivavoce.images import open_images

PAPER = resolve("paper", epsilons=[0.0, 0.15])
QUICK = resolve("quick", epsilons=[0.06])
FGSM = resolve("paper", attacks=["fgsm"], epsilons=[0.2])


def shard(indices, goals, protocol=QUICK, batch_size=10, seed=0):
    return Shard(
        indices=indices,
        goals=goals,
        protocol=protocol,
        seed=seed,
        batch_size=batch_size,
    )


def numbered(n, batch_size=10):
    return shard(np.arange(n) * 3, np.arange(n) % 10, batch_size=batch_size)


@pytest.mark.parametrize(("n", "count"), [(1, 1), (1, 8), (35, 2), (35, 3), (35, 4), (35, 99), (40, 3)])
def test_cutting_keeps_every_batch_whole_and_every_image_once(n, count):
    cut = numbered(n).cut(count)
    assert len(cut) == min(count, -(-n // 10))
    np.testing.assert_array_equal(np.concatenate([c.indices for c in cut]), np.arange(n) * 3)
    np.testing.assert_array_equal(np.concatenate([c.goals for c in cut]), np.arange(n) % 10)
    assert all(len(c) % 10 == 0 for c in cut[:-1])
    batches = [-(-len(c) // 10) for c in cut]
    assert max(batches) - min(batches) <= 1


def both_ways(model, protocol, count, n=25):
    """One evaluation in a piece, one in shards with a model of its own for each, and the parts of that."""
    images, whole_target, target = open_images("digits"), Target(open_model(model)), Target(open_model(model))
    indices = images.sample(n, 3)
    goals = target_classes(images.labels, 10, 3)[indices]
    whole = evaluate(whole_target, images, indices, protocol, seed=3, batch_size=5, goals=goals)
    cut = shard(indices, goals, protocol, 5, seed=3)
    parts = [attack(open_model(model), images, shard) for shard in reversed(cut.cut(count))][::-1]
    merged = merge(cut, parts, target, images)
    assert (target.queries, target.gradients, target.dead) == (
        whole_target.queries, whole_target.gradients, whole_target.dead,
    )  # fmt: skip
    return whole, merged, parts


@pytest.mark.parametrize(
    ("model", "protocol", "count"),
    [("digits-speech", PAPER, 3), ("small", PAPER, 5), ("small", QUICK, 5)],
)
def test_shards_merged_are_the_whole(model, protocol, count, small):
    whole, merged, parts = both_ways(small if model == "small" else model, protocol, count)
    assert len(parts) == count
    for name in ("indices", "labels", "decisions", "near", "digests"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    assert merged.digest == whole.digest
    for mine, theirs in zip(merged.outcomes, whole.outcomes, strict=True):
        for name in {field.name for field in fields(mine)} - {"seconds", "ball"}:
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
        assert mine.seconds > 0 or mine.epsilon == 0
    assert sum(len(part.evaluation.examples) for part in parts) >= len(whole.examples) >= EXAMPLES
    for mine, theirs in zip(merged.examples, whole.examples, strict=True):
        assert (mine.place, mine.attack, mine.epsilon) == (theirs.place, theirs.attack, theirs.epsilon)
        np.testing.assert_array_equal(mine.clean, theirs.clean)
        np.testing.assert_array_equal(mine.adversarial, theirs.adversarial)


def test_tallies_and_notes_of_all_shards_reach_the_target():
    model, images = open_model("digits-category"), open_images("digits")
    indices = images.sample(20, 0)
    whole = shard(indices, target_classes(images.labels, 10, 0)[indices], FGSM, 10)
    parts = [attack(model, images, part) for part in whole.cut(2)]
    parts = [replace(part, dead=k + 1, notes=["both", f"only {k}"]) for k, part in enumerate(parts)]
    target = Target(model)
    merge(whole, parts, target, images)
    assert target.queries == parts[0].queries + parts[1].queries > 0
    assert target.gradients == parts[0].gradients + parts[1].gradients > 0
    assert target.dead == 3
    assert target.notes == ["both", "only 0", "only 1"]


def test_the_report_of_an_audit_in_shards_is_that_of_one_in_a_piece(small):
    def spread(whole, target, images, progress):
        parts = [attack(open_model(target.model.path), images, shard) for shard in whole.cut(2)]
        return merge(whole, parts, target, images)

    settings = Settings(protocol=FGSM, limit=24, batch_size=8)
    whole = robustness(open_model(small), settings).report
    apart = robustness(open_model(small), replace(settings, spread=spread)).report
    assert without_times(apart) == without_times(whole)


def test_a_spread_audit_keeps_no_state(tmp_path):
    settings = Settings(
        protocol=QUICK,
        limit=10,
        resume=tmp_path / "state",
        spread=lambda whole, target, images, progress: merge(whole, [], target, images),
    )
    with pytest.raises(VivavoceError, match="--resume"):
        robustness(open_model("digits-category"), settings)
