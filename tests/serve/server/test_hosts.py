"""Which requests are refused by their headers: other hosts, two lengths, too many or too long."""

import json
import socket

import pytest
from serving import Address, digit, in_thread

from vivavoce.errors import VivavoceError
from vivavoce.serve.server.hosts import Hosts, hosts_for
from vivavoce.serve.server.run import listen


@pytest.fixture(scope="module")
def server():
    with in_thread() as address:
        yield address


def status(server: Address, *lines: bytes, body: bytes = b"") -> int:
    answer = server.raw(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body)
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:8000", "[::1]:1", "localhost."])
def test_loopback_names_are_answered(host, server: Address):
    assert status(server, b"GET /healthz HTTP/1.1", b"Host: " + host.encode()) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil.example:8000", "192.168.0.7", "localhost@evil.example",
     "evil.example#localhost", "", "[::2]", "127.0.0.1.evil.example", "localhost:80:80", "[localhost]"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/v1/model", "/v1/classify", "/metrics", "/nowhere"])
def test_a_rebound_name_is_refused_on_every_path(host, path, server: Address):
    assert status(server, f"GET {path} HTTP/1.1".encode(), b"Host: " + host.encode()) == 421


def test_the_refusal_is_one_line_that_says_what_to_do(server: Address):
    answer = server.raw(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    detail = json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]
    assert "'evil.example'" in detail
    assert "--allow-host" in detail
    assert server.metric("vivavoce_requests_total") > 0


def test_hosts_by_what_is_listened_on():
    local = hosts_for("127.0.0.1", True, ["Demo.Example", "::2"])
    assert local.admits(b"demo.example:8000")
    assert local.admits(b"[::2]:8000")
    assert not local.admits(b"10.0.0.1")
    public = hosts_for("0.0.0.0", False)
    for host in (b"10.0.0.1:8000", b"[fe80::1]", b"localhost", socket.gethostname().encode()):
        assert public.admits(host), host
    assert not public.admits(b"evil.example")
    assert hosts_for("0.0.0.0", False, ["*"]).admits(b"evil.example")
    assert not Hosts().admits(b"10.0.0.1")


@pytest.mark.parametrize(
    "name", ["http://a.example", "a.example:80", "a/b", "", "a b", "*.example", "\x1b[1m"]
)
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(VivavoceError, match="--allow-host"):
        hosts_for("127.0.0.1", True, [name])


POST = b"POST /v1/classify HTTP/1.1"
HOST = b"Host: localhost"


@pytest.mark.parametrize(
    "headers",
    [
        [b"Content-Length: 4", b"Transfer-Encoding: chunked"],
        [b"transfer-encoding: chunked", b"content-length: 4"],
        [b"Content-Length: 4", b"Content-Length: 5"],
        [b"Content-Length: 4", b"Content-Length: 4"],
        [b"Content-Length: 4, 4"],
        [b"Content-Length: 4", b"X: y", b"CONTENT-LENGTH: 4"],
    ],
)
def test_two_lengths_are_refused_and_end_the_connection(headers, server: Address):
    smuggled = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = server.raw(b"\r\n".join([POST, HOST, *headers, b"", b""]) + smuggled)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


def test_headers_are_bounded_by_number_and_by_bytes(server: Address):
    get = b"GET /healthz HTTP/1.1"
    assert status(server, get, HOST, *[b"A: b"] * 98) == 200
    assert status(server, get, HOST, *[b"A: b"] * 99) == 431
    assert status(server, get, HOST, b"A: " + b"b" * 16_000) == 200
    assert status(server, get, HOST, b"A: " + b"b" * 17_000) in (400, 431)
    assert status(server, b"GET /" + b"a" * 17_000 + b" HTTP/1.1", HOST) in (400, 431)
    assert server.classify(digit(6)).json["class"] == "6"


@pytest.mark.parametrize(
    "host",
    ["no.such.host.invalid", "", "a" * 300, "\u00e4" * 80, "a..b", "a\0b", "203.0.113.1", "localhost:80"],
)
def test_an_address_that_cannot_be_listened_on_is_one_line(host):
    with pytest.raises(VivavoceError, match=r"cannot listen on [^\n]*--host$"):
        listen(host, 0)


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(VivavoceError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1])
