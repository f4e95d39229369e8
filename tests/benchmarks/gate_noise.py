"""How often the gate notices noise on all weights: python tests/benchmarks/gate_noise.py MODEL --noise 12

Every weight moves by so many per cent of its tensor's standard deviation. The old gate is the
clean row and the rows at the largest epsilon: an ensemble begins there, so that epsilon alone gives the same.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from breaking import changed, with_noise

from vivavoce.artifacts import open_model
from vivavoce.audit.gate.limits import Limits
from vivavoce.audit.gate.pairing import SMALLEST, vectors
from vivavoce.audit.gate.rows import pair_up
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.audit.statistics import wilson


def figures(path, settings):
    """Every row of the audit of a file."""
    report = robustness(open_model(path), settings).report
    return vectors(report), report.protocol.written(report.protocol.epsilons[-1])


def caught(before, after, names):
    """Whether a check of these rows fails."""
    rows = pair_up([(before[name], after[name]) for name in names], Limits())
    return any(row.result == "failed" for row in rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--data")
    parser.add_argument("--noise", type=float, nargs="+", default=[5, 12, 25])
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--trials", type=int, default=20)
    given = parser.parse_args()
    settings = Settings(protocol=resolve("quick"), data=given.data, limit=given.limit)
    before, largest = figures(given.model, settings)
    old = [name for name in before if name.startswith("clean") or name.endswith(f"@{largest}")]
    print(f"{given.model}, {given.limit} images:", *(f"{v.name} {v.share:.1%}," for v in before.values()))
    with tempfile.TemporaryDirectory() as folder:
        for noise in given.noise:
            found = []
            for seed in range(given.trials):
                copy = changed(given.model, Path(folder) / "copy.onnx", with_noise(noise / 100, seed))
                after, _ = figures(copy, settings)
                found.append((caught(before, after, old), caught(before, after, list(before))))
                shares = ", ".join(f"{name} {after[name].share:.1%}" for name in ("clean", SMALLEST))
                print(f"  {noise:g} %, seed {seed}: {shares}", found[-1], flush=True)
            for k, gate in enumerate(("old", "new")):
                times = sum(pair[k] for pair in found)
                low, high = wilson(times, len(found))
                print(
                    f"{noise:g} %: {gate} gate fails {times} of {len(found)} ({low:.0%} to {high:.0%})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
