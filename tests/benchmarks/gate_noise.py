"""How often the gate notices noise on all weights: python tests/benchmarks/gate_noise.py MODEL --noise 12

Every weight moves by so many per cent of its tensor's standard deviation. The old gate is the clean row and
the rows at the largest epsilon: an ensemble begins there, so that epsilon alone gives the same. An audit ends
where both gates have decided, as a check does. Untouched copies (--noise 0) differ in the batch size.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from breaking import changed, with_noise

from vivavoce.artifacts import open_model
from vivavoce.audit.evaluate import evaluate
from vivavoce.audit.gate.limits import Limits
from vivavoce.audit.gate.pairing import SMALLEST, vectors
from vivavoce.audit.gate.rows import can_drop, pair_up
from vivavoce.audit.gate.stopping import Row, Stopping
from vivavoce.audit.plan import Plan, Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.audit.statistics import wilson
from vivavoce.audit.summary import so_far

BATCH = 20
"""Images between two looks at the outcomes."""


class Gate:
    """Some rows of a baseline, and what a check of them decides."""

    def __init__(self, before, names):
        self.before = [before[name] for name in names if can_drop(before[name])]
        self.failed, self.images = None, 0

    def look(self, after, ranks, images):
        """Decide if the images so far are enough."""
        if self.failed is None:
            limits = Limits()
            rows = [Row(v.values.astype(int)[ranks], v.steps, limits.max_drop) for v in self.before]
            first = np.argsort(np.argsort(ranks[:images]))
            seen = [after[v.name].values.astype(int)[first] for v in self.before]
            rule = Stopping(rows, limits.alpha, len(rows))
            failed = any(rule.failing(seen))
            if failed or rule.passing(seen):
                self.failed, self.images = failed, images
        return self.failed is not None

    def end(self, after, images):
        """Decide by all images, where they were needed."""
        if self.failed is None:
            rows = pair_up([(v, after[v.name]) for v in self.before], Limits())
            self.failed, self.images = any(row.result == "failed" for row in rows), images


def check(report, model, settings, gates):
    """Audit a copy until both gates have decided; its rows on the images so far."""

    def enough(evaluation, done):
        order = np.argsort(np.argsort(evaluation.indices))
        part = evaluation.at(np.argsort(evaluation.indices[:done]))
        after = vectors(so_far(report, part, model.manifest))
        decided = [gate.look(after, order, done) for gate in gates]
        return all(decided) and done < len(order)

    plan = Plan.of(model, settings).in_random_order()
    found = evaluate(
        plan.target, plan.images, plan.indices, plan.protocol,
        seed=plan.seed, batch_size=plan.batch_size, goals=plan.goals, enough=enough,
    )  # fmt: skip
    after = vectors(so_far(report, found.at(np.argsort(found.indices)), model.manifest))
    for gate in gates:
        gate.end(after, len(found.indices))
    return after


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--data")
    parser.add_argument("--noise", type=float, nargs="+", default=[0, 5, 12, 25])
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first trial")
    given = parser.parse_args()
    settings = Settings(protocol=resolve("quick"), data=given.data, limit=given.limit, batch_size=BATCH)
    report = robustness(open_model(given.model), settings).report
    before, largest = vectors(report), report.protocol.written(report.protocol.epsilons[-1])
    old = [name for name in before if name.startswith("clean") or name.endswith(f"@{largest}")]
    print(f"{given.model}, {given.limit} images:", *(f"{v.name} {v.share:.1%}," for v in before.values()))
    with tempfile.TemporaryDirectory() as folder:
        for noise in given.noise:
            found = []
            for seed in range(given.first, given.first + given.trials):
                path = changed(given.model, Path(folder) / "copy.onnx", with_noise(noise / 100, seed))
                gates = Gate(before, old), Gate(before, list(before))
                own = settings if noise else replace(settings, batch_size=BATCH + seed)
                after = check(report, open_model(path), own, gates)
                found.append([(gate.failed, gate.images) for gate in gates])
                shares = ", ".join(f"{name} {after[name].share:.1%}" for name in ("clean", SMALLEST))
                print(f"  {noise:g} %, seed {seed}: {shares}", found[-1], flush=True)
            for k, gate in enumerate(("old", "new")):
                times, images = (sum(pair[k][i] for pair in found) for i in (0, 1))
                low, high = wilson(times, len(found))
                print(
                    f"{noise:g} %: {gate} gate fails {times} of {len(found)} ({low:.0%} to {high:.0%}), "
                    f"on {images / len(found):.0f} images",
                    flush=True,
                )


if __name__ == "__main__":
    main()
