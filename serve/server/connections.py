"""Connections that keep the server waiting are closed, and requests with several lengths are refused.

uvicorn bounds the time between requests and nothing else. Without this file a client that sends a byte now
and then keeps its connection, and a thousand of them take all there are: the tests of slow clients in
`tests/serve/server/test_bad_input.py` fail. And h11 merges equal Content-Length headers before any
application sees them.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .limits import Limits
from .metrics import Metrics

CONTENT_LENGTH = re.compile(rb"\ncontent-length[ \t]*:([^\n]*)", re.IGNORECASE)


class Watched(H11Protocol):
    """A connection with a clock: on its next request's headers, and on each request as a whole."""

    limits: Limits
    metrics: Metrics
    crowd: dict[Watched, None]
    """All connections, oldest first."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._clock: asyncio.TimerHandle | None = None
        self._request: object | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock; where there are too many, the one that has kept us waiting longest goes."""
        super().connection_made(transport)
        self.crowd[self] = None
        if len(self.crowd) > self.limits.connections:
            oldest = next((one for one in self.crowd if one.receiving), self)
            oldest.drop("crowded")
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request that they complete gets a clock of its own."""
        if self.conn.their_state is h11.IDLE and _several_lengths(self.conn.trailing_data[0] + data):
            self._unset_keepalive_if_required()
            self.send_400_response("Several Content-Length headers.")
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        self.crowd.pop(self, None)
        if self._clock:
            self._clock.cancel()

    @property
    def receiving(self) -> bool:
        """Whether we wait for the client, not the client for us."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def drop(self, reason: str) -> None:
        """Close at once, whatever is still to be sent."""
        self.metrics.dropped.labels(reason).inc()
        self.crowd.pop(self, None)
        self.transport.abort()

    def _watch(self) -> None:
        """Restart the clock when what we wait for has changed; single bytes do not."""
        request = self.cycle if self.cycle and not self.cycle.response_complete else None
        if self._clock and request is self._request:
            return
        if self._clock:
            self._clock.cancel()
        self._request = request
        seconds = self.limits.request_seconds if request else self.limits.header_seconds
        self._clock = self.loop.call_later(seconds, self.drop, "slow")


def _several_lengths(data: bytes) -> bool:
    """Whether the headers at the start of these bytes, if they are complete, say a length more than once."""
    head, end, _ = data.partition(b"\r\n\r\n")
    lengths = CONTENT_LENGTH.findall(head) if end else []
    return len(lengths) > 1 or any(b"," in value for value in lengths)


def watched(limits: Limits, metrics: Metrics) -> type[Watched]:
    """The protocol of one server's connections."""
    return type("WatchedHere", (Watched,), {"limits": limits, "metrics": metrics, "crowd": {}})
