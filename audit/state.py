"""The state of an audit that may be killed: what is finished, in one file, and how to go on."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ..errors import VivavoceError
from .evaluate import ARRAYS, TALLIES, Evaluation, Example
from .protocol import Protocol
from .target import Target

SCHEMA = 1


@dataclass(frozen=True)
class StateFile:
    """Where the state of one audit is kept.

    The fingerprint is of everything that decides the outcome; a state of another audit is refused.
    """

    path: Path
    fingerprint: str

    def save(self, evaluation: Evaluation, target: Target) -> None:
        """Write the state, so that a kill leaves the old or the new one whole."""
        about = {
            "schema": SCHEMA,
            "fingerprint": self.fingerprint,
            "digests": evaluation.digests,
            "tally": [target.queries, target.gradients, target.dead],
            "outcomes": [{name: getattr(o, name) for name in TALLIES} for o in evaluation.outcomes],
            "examples": [(e.place, e.attack, e.epsilon) for e in evaluation.examples],
        }
        arrays = {
            f"{k} {name}": getattr(o, name) for k, o in enumerate(evaluation.outcomes) for name in ARRAYS
        }
        for k, example in enumerate(evaluation.examples):
            arrays |= {f"example {k} clean": example.clean, f"example {k} adversarial": example.adversarial}
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("wb") as file:
            np.savez(
                file, allow_pickle=False, about=np.array(msgspec.json.encode(about).decode()),
                decisions=evaluation.decisions, near=evaluation.near, **arrays,
            )  # fmt: skip
        fresh.replace(self.path)

    def load(self, evaluation: Evaluation, target: Target) -> None:
        """Bring a blank evaluation and a fresh target to where the stopped audit was.

        Raises:
            VivavoceError: the file is not a state, or that of another audit.
        """
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                about = msgspec.json.decode(str(archive["about"]), type=_About)
                if about.schema != SCHEMA or about.fingerprint != self.fingerprint:
                    raise VivavoceError(
                        f"{self.path}: the state of another audit (model, data, protocol or seed differ); "
                        "give another --resume file, or remove this one"
                    )
                self._fill(evaluation, about, archive)
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, msgspec.DecodeError) as error:
            raise VivavoceError(f"{self.path}: not the state of an audit ({error})") from error
        target.queries, target.gradients, target.dead = about.tally

    @staticmethod
    def _fill(evaluation: Evaluation, about: _About, archive: np.lib.npyio.NpzFile) -> None:
        evaluation.digests = about.digests
        evaluation.decisions, evaluation.near = archive["decisions"], archive["near"]
        for k, (outcome, tally) in enumerate(zip(evaluation.outcomes, about.outcomes, strict=True)):
            for name in ARRAYS:
                setattr(outcome, name, archive[f"{k} {name}"])
            outcome.queries, outcome.gradients = int(tally["queries"]), int(tally["gradients"])
            outcome.seconds = tally["seconds"]
        evaluation.examples = [
            Example(*told, archive[f"example {k} clean"], archive[f"example {k} adversarial"])
            for k, told in enumerate(about.examples)
        ]


class _About(msgspec.Struct):
    schema: int
    fingerprint: str
    digests: list[str]
    tally: tuple[int, int, int]
    outcomes: list[dict[str, float]]
    examples: list[tuple[int, str, float]]


def fingerprint(
    model: Path, protocol: Protocol, indices: np.ndarray, goals: np.ndarray | None, seed: int, batch_size: int
) -> str:
    """SHA-256 of what decides an audit: file, protocol, images, targets, seed, batch size."""
    digest = hashlib.sha256(model.read_bytes())
    digest.update(msgspec.json.encode(protocol))
    digest.update(indices.astype("<i8").tobytes())
    digest.update(b"" if goals is None else goals.astype("<i8").tobytes())
    digest.update(f"{seed} {batch_size}".encode())
    return digest.hexdigest()
