"""Which host names the server answers to.

A web page can make its own name resolve to 127.0.0.1 ("DNS rebinding") and then read what a server on this
machine replies. The browser still sends the page's name in `Host`, so that is what is checked.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from ...errors import VivavoceError
from ...text import plain

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ANY = "*"
HEADER = re.compile(rb"(?:\[([0-9a-f:.]+)\]|([^\s:\[\]@/?#\\]+))(?::[0-9]*)?", re.IGNORECASE)
"""`Host` (RFC 9110, section 7.2): an IPv6 address in brackets or a name, then perhaps a port."""


@dataclass(frozen=True)
class Hosts:
    """The names in `Host` that are answered, with any port."""

    names: frozenset[str] = LOOPBACK
    addresses: bool = False
    """Answer to every IP address too. That is safe: to rebind it, an attacker needs a name."""

    def admits(self, header: bytes) -> bool:
        """Whether a `Host` header names this server."""
        if ANY in self.names:
            return True
        match = HEADER.fullmatch(header)
        if not match:
            return False
        name = _normal((match[1] or match[2]).decode("latin-1"))
        return name in self.names or (self.addresses and _address(name) is not None)


def hosts_for(bound: str, local: bool, allowed: Iterable[str] = ()) -> Hosts:
    """The hosts of a server.

    Args:
        bound: what it listens on, a name or an address.
        local: whether only this machine reaches that. If not, the server also answers to this machine's name
            and to every IP address.
        allowed: more names; `*` for any.

    Raises:
        VivavoceError: a name has a scheme, a port or a path.
    """
    names = LOOPBACK | {_normal(bound)} | {_checked(name) for name in allowed}
    if local:
        return Hosts(names)
    own = _normal(socket.gethostname())
    return Hosts(names | {own, f"{own}.local"}, addresses=True)


def _checked(name: str) -> str:
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if name != ANY and _address(bare) is None and not re.fullmatch(r"[\w.-]+", bare):
        raise VivavoceError(
            f"--allow-host: {plain(name)!r} is not a host name; give a name without scheme, port or path"
        )
    return _normal(bare)


def _normal(name: str) -> str:
    return name.lower().removesuffix(".")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
