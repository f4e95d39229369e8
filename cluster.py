"""Ray: connects to a cluster and runs tasks on it. Ray itself is imported on first use."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .console import need
from .errors import VivavoceError

RETRIES = 3
"""Times that a task is begun again after its process or node was lost."""
PATIENCE = 4.0
"""Seconds that an address has to answer; Ray itself would try for minutes."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""How a client of HTTP/2, which Ray's servers speak, begins (RFC 9113, section 3.4)."""


@dataclass(frozen=True)
class Lost:
    """What is left of a task that has no result."""

    reason: str
    """One line."""


class Cluster:
    """A Ray cluster to which this process is connected.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, `auto` (the cluster this machine is part of), or `local` (Ray
            on this machine alone, for as long as this process lasts); None: `auto` if there is one, else
            `local`. `RAY_ADDRESS` stands in for `auto` and None.
        cpus: that every task takes.
        gpus: the same.

    Raises:
        VivavoceError: Ray is not installed, nothing answers at the address, or no node is large enough.
    """

    def __init__(self, address: str | None = None, cpus: float = 1, gpus: float = 0) -> None:
        need("ray", "ray", "--engine ray")
        self.cpus, self.gpus = cpus, gpus
        self._ours = _connect(address)
        self.slots = self._count_slots()
        """Tasks that fit at once, as the cluster is now."""

    def check_sees(self, path: Path) -> None:
        """Ask every node that may get a task whether it sees a path, and has this package.

        Raises:
            VivavoceError: one does not.
        """
        import ray
        from ray.exceptions import RayError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ask = ray.remote(num_cpus=0, max_retries=0)(_look)
        nodes = [node for node in ray.nodes() if node["Alive"] and self._fit(node["Resources"])]
        ours = version("vivavoce")
        asked = [
            ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(n["NodeID"], False)).remote(path)
            for n in nodes
        ]
        for node, answer in zip(nodes, asked, strict=True):
            name = node["NodeManagerHostname"]
            try:
                sees, theirs = ray.get(answer)
            except RayError as error:
                raise VivavoceError(f"node {name} of the Ray cluster cannot work: {_reason(error)}") from None
            if theirs != ours:
                raise VivavoceError(f"node {name} of the Ray cluster has vivavoce {theirs}, not {ours}")
            if not sees:
                raise VivavoceError(_unseen(name, path))

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple], workers: int | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Call `function` once with each tuple of arguments, every call a task in a process of its own.

        Args:
            function: importable by name on every node.
            calls: its arguments.
            workers: tasks at a time; None: as many as the cluster takes.

        Yields:
            The place of a call among `calls`, and what it returned or `Lost`, as the calls end.
        """
        import ray
        from ray.exceptions import RayError

        task = ray.remote(
            num_cpus=self.cpus, num_gpus=self.gpus, max_retries=RETRIES, max_calls=1,
            scheduling_strategy="SPREAD",
        )(function)  # fmt: skip
        waiting, running = deque(enumerate(calls)), dict[Any, int]()
        try:
            while waiting or running:
                while waiting and (workers is None or len(running) < workers):
                    place, arguments = waiting.popleft()
                    running[task.remote(*arguments)] = place
                for ended in ray.wait(list(running))[0]:
                    place = running.pop(ended)
                    try:
                        outcome = ray.get(ended)
                    except RayError as error:
                        outcome = Lost(_reason(error))
                    yield place, outcome
        finally:
            for left in running:
                ray.cancel(left, force=True)

    def close(self) -> None:
        """Leave the cluster; what still runs there for this process ends."""
        import ray

        if self._ours:
            ray.shutdown()

    def _fit(self, has: dict[str, float]) -> int:
        """Tasks that fit a node with these resources."""
        wants = {"CPU": self.cpus, "GPU": self.gpus}
        return min((int(has.get(name, 0) / want) for name, want in wants.items() if want > 0), default=1)

    def _count_slots(self) -> int:
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        slots = sum(self._fit(has) for has in nodes)
        if not slots:
            most = [int(max((has.get(name, 0) for has in nodes), default=0)) for name in ("CPU", "GPU")]
            self.close()
            raise VivavoceError(
                f"no node of the Ray cluster has room for {self.cpus:g} CPUs and {self.gpus:g} GPUs; "
                f"the most that one has is {most[0]} CPUs, {most[1]} GPUs"
            )
        return slots


def expect_to_see(path: Path) -> None:
    """Refuse to work where a shared path is missing: a node may have come late to the cluster.

    Raises:
        VivavoceError: it is.
    """
    if not path.exists():
        raise VivavoceError(_unseen(socket.gethostname(), path))


def go_home(home: Path) -> None:
    """Take relative paths as the process does that gave the task, where its folder is seen."""
    with contextlib.suppress(OSError):
        os.chdir(home)


def _look(path: Path) -> tuple[bool, str]:
    return path.exists(), version("vivavoce")


def _unseen(node: str, path: Path) -> str:
    return f"node {node} of the Ray cluster does not see {path}; put it where every node does"


def _connect(address: str | None) -> bool:
    """Connect this process; False if it is connected already."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without this, Ray reports every process that it lost and will restart on our standard output.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "(?s:.)")
    import ray

    if ray.is_initialized():
        return False
    found = _find(address)
    alone: dict[str, Any] = {"include_dashboard": False} if found == "local" else {}
    try:
        ray.init(found, log_to_driver=False, logging_level=logging.ERROR, **alone)
    except Exception as error:  # of a dozen kinds
        hint = "" if os.environ.get("RAY_AUTH_MODE") else "; where it wants a token, set RAY_AUTH_MODE=token"
        raise VivavoceError(f"Ray at {found} cannot be used: {_first_line(error)}{hint}") from error
    return True


def _find(address: str | None) -> str:
    """What to tell Ray: an address at which it answers, or `local`."""
    if address in (None, "auto") and (told := os.environ.get("RAY_ADDRESS")):
        address = told
    if address in (None, "auto"):
        if _runs_here():
            return "auto"  # and not what it stands for: to `auto` alone Ray gives this machine's own token
        if address == "auto":
            raise VivavoceError(
                "no Ray cluster runs on this machine; start one with `ray start --head`, or give --address"
            )
        return "local"
    if address != "local":
        _check_answers(address)
    return address


def _runs_here() -> bool:
    """Whether somebody answers at the address that `ray start` left behind."""
    note = Path(
        os.environ.get("RAY_TMPDIR") or ("/tmp" if os.name == "posix" else tempfile.gettempdir()),
        "ray",
        "ray_current_cluster",
    )
    with contextlib.suppress(OSError, VivavoceError):
        _check_answers(note.read_text("utf-8").strip())
        return True
    return False


def _check_answers(address: str) -> None:
    """Refuse an address where no Ray cluster answers.

    Raises:
        VivavoceError: nothing answers there, or the answer is not Ray's.
    """
    client = address.startswith("ray://")
    try:
        parts = urlsplit(address if client else f"//{address}")
        host, port = parts.hostname, parts.port or (10001 if client else None)
    except ValueError:
        host = port = None
    if not host or not port:
        raise VivavoceError(f"--address must be HOST:PORT, ray://HOST:PORT, auto or local, not {address!r}")
    if client:
        need("grpc", "ray", "an address with ray://")
    try:
        with socket.create_connection((host, port), PATIENCE) as line:
            line.sendall(GREETING)
            settings = line.recv(4)
    except OSError as error:
        reason = error.strerror or str(error)
        raise VivavoceError(f"no Ray cluster answers at {address} ({reason})") from None
    if settings[3:] != b"\x04" and os.environ.get("RAY_USE_TLS", "0") == "0":
        raise VivavoceError(f"what answers at {address} is not a Ray cluster")


def _reason(error: Exception) -> str:
    """Why a task has no result, in one line."""
    from ray import exceptions

    if isinstance(error, exceptions.RayTaskError):
        cause = getattr(error, "cause", None) or error
        return str(cause) if isinstance(cause, VivavoceError) else _named(cause)
    if isinstance(error, exceptions.OutOfMemoryError):
        return "its node ran out of memory"
    if isinstance(error, exceptions.WorkerCrashedError | exceptions.NodeDiedError):
        return f"its process or node was lost {RETRIES + 1} times; out of memory?"
    return _named(error)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
