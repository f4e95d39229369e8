"""How much the server takes on, and for how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one server."""

    body: int = 10_000_000
    """Bytes of a request's body."""
    receiving: int = 256_000_000
    """Bytes of all bodies that are being received together."""
    pixels: int = 50_000_000
    """Pixels of an image, by its header."""
    waiting: int = 64
    """Requests that are accepted and not yet answered; the next one gets status 503."""
    batch: int = 32
    """Images that the model is asked about at once."""
    connections: int = 1_000
    """Open connections; past that, the one that has kept us waiting longest is closed."""
    headers: int = 100
    """Headers of a request."""
    header_bytes: int = 16_384
    """Bytes of a request's address and headers."""
    header_seconds: float = 10.0
    """For a connection to say what it wants."""
    body_seconds: float = 20.0
    """For a body to come, and as much again as `body_rate` allows for what did come."""
    body_rate: int = 50_000
    """Bytes a second under which a client is too slow."""
    answer_seconds: float = 30.0
    """From the whole body to the answer."""
    idle_seconds: int = 5
    """For a connection without a request."""
    stop_seconds: int = 60
    """For what was accepted to be finished after SIGTERM."""

    @property
    def request_seconds(self) -> float:
        """The longest that a whole request can take, with the same time again to fetch the answer."""
        return 2 * (self.body_seconds + self.body / self.body_rate + self.answer_seconds)
