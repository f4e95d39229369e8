"""What is checked of every request before anything else reads it: its host, its framing, its size."""

from __future__ import annotations

from collections.abc import Sequence

from ...text import plain
from .errors import RequestError
from .hosts import Hosts
from .limits import Limits


def check_request(
    target: bytes, headers: Sequence[tuple[bytes, bytes]], hosts: Hosts, limits: Limits
) -> None:
    """Refuse a request by its target and headers.

    Raises:
        RequestError: it is for a different host, has two lengths, or more or longer headers than allowed.
    """
    if len(headers) > limits.headers:
        raise RequestError(431, f"more than {limits.headers} headers", close=True)
    size = len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if size > limits.header_bytes:
        raise RequestError(431, f"more than {limits.header_bytes} bytes of address and headers", close=True)
    names = [name for name, _ in headers]
    if b"content-length" in names and b"transfer-encoding" in names:
        # A proxy in front may go by the other one, and take the end of this body for a request of its own.
        raise RequestError(400, "both Content-Length and Transfer-Encoding; send one", close=True)
    host = next((value for name, value in headers if name == b"host"), b"")
    if not hosts.admits(host):
        shown = plain(host[:100].decode("latin-1"))
        raise RequestError(
            421, f"this server does not answer to the host {shown!r}; allow it with --allow-host", close=True
        )
