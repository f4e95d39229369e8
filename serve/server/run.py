"""Running the server, and stopping it without losing what it has accepted."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence

import uvicorn

from ...artifacts import ExportedModel
from ...errors import VivavoceError
from ...text import plain
from ..examples import Example
from .app import make_app
from .connections import watched
from .hosts import hosts_for
from .limits import Limits
from .service import Service

LAST_CALL_SECONDS = 0.1
"""For connections that the system has made already, and that wait in line, to be taken."""
FAREWELL_SECONDS = 0.5
"""For clients with an open connection to hear, in the next answer, that it ends."""


class Server(uvicorn.Server):
    """uvicorn's server, with a gentler end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connections, tell the open ones that they end, then finish what was accepted."""
        self._service.stopping = True
        await asyncio.sleep(LAST_CALL_SECONDS)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        await asyncio.sleep(FAREWELL_SECONDS)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and Ctrl-C; the command then ends as it does when all is well."""
        try:
            before = {s: signal.signal(s, self.handle_exit) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: whoever started us stops us
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(
    model: ExportedModel,
    host: str,
    port: int,
    limits: Limits | None = None,
    allowed: Iterable[str] = (),
    examples: Sequence[Example] = (),
    started: Callable[[str], None] = lambda url: None,
    ready: Callable[[Server], None] = lambda server: None,
) -> None:
    """Serve a model until SIGTERM or Ctrl-C.

    Args:
        model: what answers.
        host: name or address to listen on.
        port: 0 for any that is free.
        limits: bounds on what the server takes on.
        allowed: more host names to answer to; see `hosts_for`.
        examples: images that the page offers to try.
        started: called with the address, once the server accepts connections.
        ready: called with the server, whose `should_exit` ends it.

    Raises:
        VivavoceError: the address cannot be listened on, or the model cannot answer.
    """
    limits = limits or Limits()
    listener = listen(host, port)
    try:
        url = url_of(listener)
        app = make_app(model, limits, hosts_for(host, is_local(url), allowed), examples)
        app.service.warm_up()
        config = uvicorn.Config(
            app,
            http=watched(limits, app.service.metrics),
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=limits.stop_seconds,
            h11_max_incomplete_event_size=limits.header_bytes,
        )
        server = Server(config, app.service)
        ready(server)
        started(url)
        asyncio.run(server.serve([listener]))
        app.service.close()
    finally:
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """Bind an address; connections wait in line until the server runs.

    Raises:
        VivavoceError: it is taken, not allowed, or not this machine's.
    """
    listener = None
    try:
        if not host:
            raise ValueError("an empty address")
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol named, asyncio sends small packets at once; otherwise answers wait 40 ms.
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except (OSError, OverflowError, ValueError) as error:  # ValueError: a name that cannot be encoded
        if listener:
            listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise VivavoceError(
            f"cannot listen on {plain(host)} port {port}: {reason}; give a different --port or --host"
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The address of a listening socket, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_local(listener_url: str) -> bool:
    """Whether only this machine can reach an address that `url_of` gave."""
    from urllib.parse import urlsplit

    return ipaddress.ip_address(urlsplit(listener_url).hostname or "").is_loopback
