"""The state of an unfinished audit in one file, under each of its protocols, and how to resume from it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from ..artifacts.identity import answers_digest
from ..errors import VivavoceError
from ..files import MEBIBYTE, read_bytes, write_whole
from .digests import joint_digest
from .examples import Example
from .outcomes import TALLIES, Evaluation
from .sharding import Shard
from .summary import versions
from .target import Target

MAGIC = b"vivavoce audit state 6\n"
"""What a state begins with; then the SHA-256 of the rest, and the rest as MessagePack: a map of protocols."""
COUNTS = ("queries", "gradients", "dead", "compared", "strayed", "not_finite")
"""The counters of a target that a resumed audit goes on with."""
COMMON = ("the model or its settings", "the device", "the versions of packages")
"""What the audits of several protocols have in common; see `fingerprint`."""
LIMIT = 256 * MEBIBYTE
"""Bytes of the largest state that is read: 60,000 images in a hundred rows have 60 MB."""


@dataclass(frozen=True)
class StateFile:
    """Where the state of one audit is kept, with those of the same audit under other protocols."""

    path: Path
    protocol: str
    """Its name."""
    fingerprint: dict[str, str]
    """From `fingerprint`; a state with a different one is refused."""
    digests: Sequence[str]
    """Of all images that the audit is on."""

    @cached_property
    def found(self) -> dict[str, _State]:
        """What the file held at first, by protocol.

        Raises:
            VivavoceError: it is not a state, or damaged.
        """
        return _read(self.path) if self.path.exists() else {}

    def save(self, evaluation: Evaluation, target: Target, probes: dict[str, bytes]) -> None:
        """Write the state, so that a kill leaves the old or the new one whole.

        Raises:
            VivavoceError: the file cannot be written.
        """
        outcomes = [
            _Outcome(o.images.tobytes(), *(getattr(o, t) for t in TALLIES)) for o in evaluation.outcomes
        ]
        examples = [
            _Example(e.place, e.attack, e.epsilon, e.clean.tobytes(), e.adversarial.tobytes())
            for e in evaluation.examples
        ]
        state = _State(
            self.fingerprint, len(evaluation.digests), {name: getattr(target, name) for name in COUNTS},
            target.notes,
            evaluation.decisions.tobytes(), evaluation.near.tobytes(), outcomes, examples, probes,
        )  # fmt: skip
        content = msgspec.msgpack.encode(self.found | {self.protocol: state})
        write_whole(self.path, MAGIC + hashlib.sha256(content).digest() + content)

    def load(self, evaluation: Evaluation, target: Target) -> dict[str, bytes]:
        """Restore a blank evaluation and a fresh target to the state of the interrupted audit.

        They stay as they are if it had not come to this protocol.

        Returns:
            What its diagnosis has found, as `Probes.known`.

        Raises:
            VivavoceError: the file is not a state, is damaged, or belongs to a different audit.
        """
        state = self.found.get(self.protocol)
        try:
            for one in self.found.values():
                marks = self.fingerprint if one is state else COMMON
                if changed := [name for name in marks if one.fingerprint[name] != self.fingerprint[name]]:
                    raise _of_another(self.path, changed)
            if state is None:
                return {}
            self._fill(evaluation, state, target)
        except (ValueError, KeyError) as error:
            raise _unusable(self.path, error) from error
        return state.probes

    def _fill(self, evaluation: Evaluation, state: _State, target: Target) -> None:
        if not 0 <= state.done <= len(self.digests):
            raise ValueError(f"{state.done} images done")
        evaluation.digests = list(self.digests[: state.done])
        evaluation.decisions = _restored(state.decisions, evaluation.decisions)
        evaluation.near = _restored(state.near, evaluation.near)
        for outcome, found in zip(evaluation.outcomes, state.outcomes, strict=True):
            outcome.images = _restored(found.images, outcome.images)
            for name in TALLIES:
                setattr(outcome, name, getattr(found, name))
        entry = target.model.manifest.input
        blank = np.zeros((entry.channels, entry.height, entry.width), np.float32)
        evaluation.examples = [
            Example(e.place, e.attack, e.epsilon, *(_restored(x, blank) for x in (e.clean, e.adversarial)))
            for e in state.examples
            if 0 <= e.place < len(evaluation.indices)
        ]
        for name in COUNTS:
            setattr(target, name, state.tally[name])
        for note in state.notes:
            target.note(note)


@dataclass
class Running:
    """An audit that is going on: what it has found so far, and the file that keeps it."""

    evaluation: Evaluation
    """All images of the audit, finished or not."""
    target: Target
    file: StateFile | None = None
    probes: dict[str, bytes] = field(default_factory=dict)
    """What the diagnosis has found, as `Probes.known`."""

    def __post_init__(self) -> None:
        if self.file and self.file.path.exists():
            self.probes = self.file.load(self.evaluation, self.target)

    def save(self) -> None:
        """Write the file, if there is one.

        Raises:
            VivavoceError: it cannot be written.
        """
        if self.file:
            self.file.save(self.evaluation, self.target, self.probes)

    @property
    def ending(self) -> str:
        """What an interrupted audit leaves behind, and how to go on."""
        done, n = len(self.evaluation.digests), len(self.evaluation.indices)
        if self.file is None:
            return f"stopped after {done} of {n} images; nothing is kept without --resume FILE"
        if not done:
            kept = " and ".join(name for name in self.file.found if name != self.file.protocol)
            what = f"{self.file.path} keeps {kept}" if kept else "nothing is kept yet"
            return f"stopped before any of the {n} images was finished; {what}"
        return (
            f"stopped after {done} of {n} images; {self.file.path} keeps them: "
            "run the same command again to go on"
        )


def kept_in(path: Path) -> str:
    """What the state of an unfinished audit holds, in words.

    Raises:
        VivavoceError: the file is not a state, or damaged.
    """
    states = _read(path)
    found = []
    for name, state in states.items():
        label = f"{name}: " if len(states) > 1 else ""
        checks = f" and {len(state.probes)} checks of the diagnosis" if state.probes else ""
        found.append(f"{label}{state.done} finished images{checks}")
    return "; ".join(found)


def check_protocols(path: Path, names: Sequence[str]) -> None:
    """Check that a state that exists is of these protocols, or of the first of them.

    Raises:
        VivavoceError: it is not, or damaged.
    """
    if path.exists() and not set(_read(path)) <= set(names):
        raise _of_another(path, ["the protocol"])


def _of_another(path: Path, changed: Sequence[str]) -> VivavoceError:
    return VivavoceError(
        f"{path}: belongs to a different audit ({', '.join(changed)} changed); "
        "remove it to start over, or give a different --resume file"
    )


def _read(path: Path) -> dict[str, _State]:
    """Read the states of each protocol.

    Raises:
        VivavoceError: the file is not a state, or damaged.
    """
    try:
        return _decoded(read_bytes(path, LIMIT))
    except (ValueError, msgspec.DecodeError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> VivavoceError:
    return VivavoceError(
        f"{path}: not the state of an audit, or damaged ({error}); "
        "remove it to start over, or give a different --resume file"
    )


class _Outcome(msgspec.Struct):
    images: bytes
    queries: int
    gradients: int
    seconds: float


class _Example(msgspec.Struct):
    place: int
    attack: str
    epsilon: float
    clean: bytes
    adversarial: bytes


class _State(msgspec.Struct):
    fingerprint: dict[str, str]
    done: int
    tally: dict[str, int]
    notes: list[str]
    decisions: bytes
    near: bytes
    outcomes: list[_Outcome]
    examples: list[_Example]
    probes: dict[str, bytes]


def _decoded(data: bytes) -> dict[str, _State]:
    """The states in the bytes of a file.

    Raises:
        ValueError: it does not begin as a state, or its digest does not fit.
        msgspec.DecodeError: it is not a state inside.
    """
    if not data.startswith(MAGIC):
        raise ValueError("it does not begin as one of this version")
    digest, content = data[len(MAGIC) :][:32], data[len(MAGIC) + 32 :]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its contents do not match its digest")
    return msgspec.msgpack.decode(content, type=dict[str, _State])


def _restored(data: bytes, like: np.ndarray) -> np.ndarray:
    """An array from its bytes, of the shape and type of a blank one."""
    if len(data) != like.nbytes:
        raise ValueError(f"{len(data)} bytes for {like.nbytes}")
    array = np.frombuffer(data, like.dtype).reshape(like.shape).copy()
    for part in [array[name] for name in like.dtype.names or ()] or [array]:
        if part.dtype == bool and (part.view(np.uint8) > 1).any():
            raise ValueError("a flag that is neither 0 nor 1")
    return array


def fingerprint(target: Target, whole: Shard, digests: Sequence[str], lessons: str = "") -> dict[str, str]:
    """Everything that determines the outcome of an audit, by the name that errors use.

    Args:
        target: the model under attack.
        whole: all images of the audit, whose places in the data set seed the attacks.
        digests: of every image.
        lessons: digest of the images that universal attacks learn from.
    """
    model = target.model
    return {
        "the model or its settings": answers_digest(model),
        "the images": _digest([joint_digest(digests), whole.indices.tolist(), lessons]),
        "the targets": _digest(whole.goals.tolist()),
        "the protocol": _digest(whole.protocol),
        "the seed or batch size": f"{whole.seed} {whole.batch_size}",
        "the device": getattr(model, "device", "cpu"),
        "the versions of packages": _digest(versions(model)),
    }


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()
