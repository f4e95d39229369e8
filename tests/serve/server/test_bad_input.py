"""Whatever is sent: the right status, one line that says why, and a server that goes on."""

import contextlib
import io
import socket
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from serving import Address, digit, form, in_thread, png


@pytest.fixture(scope="module")
def server():
    with in_thread() as address:
        yield address


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def bomb() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9)))


def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))


BODIES: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "text": (lambda: b"This is not an image. " * 20, 415, "not an image"),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not an image"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415, "not an image"),
    "truncated JPEG": (lambda: saved(photo(), "JPEG")[:900], 422, "cut off"),
    "truncated PNG": (lambda: digit(1)[:60], 422, "cut off"),
    "no bytes": (lambda: b"", 400, "no image came"),
    "bomb": (bomb, 413, "at most 50 million"),
    "11 MB": (lambda: bytes(11_000_000), 413, "at most 10 MB"),
    "one pixel": (lambda: saved(Image.new("RGB", (1, 1)), "PNG"), 200, ""),
    "16 bits": (lambda: png(np.full((20, 20), 40_000, np.uint16)), 200, ""),
    "CMYK": (lambda: saved(Image.new("CMYK", (20, 20)), "JPEG"), 200, ""),
    "animated": (
        lambda: saved(Image.new("P", (9, 9)), "GIF", save_all=True, append_images=[photo()]), 200, "",
    ),
    "palette with transparency": (
        lambda: saved(Image.new("P", (9, 9)), "PNG", transparency=0), 200, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_body(name, server: Address):
    body, status, message = BODIES[name]
    for reply in (server.classify(body()), server.ask("POST", "/v1/classify", *form(body()))):
        assert reply.status == status, reply.content
        if status != 200:
            assert message in reply.json["detail"]
            assert "\n" not in reply.json["detail"]
    assert server.classify(digit(6)).json["class"] == "6"


def test_a_body_far_too_large_is_cut_off(server: Address):
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000000\r\n\r\n"
    answer = server.raw(head + bytes(1000))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


def test_a_long_body_of_unknown_length_is_cut_off(server: Address):
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(head)
        sent = 0
        try:
            while sent < 400:
                connection.sendall(chunk)
                sent += 1
        except ConnectionError:
            pass
    assert sent < 200
    assert server.classify(digit(6)).status == 200


def test_who_asks_first_hears_before_sending(server: Address):
    head = (
        b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    )
    assert server.raw(head % 11_000_000).startswith(b"HTTP/1.1 413")
    image = digit(1)
    assert server.raw(head % len(image), seconds=1).startswith(b"HTTP/1.1 100")


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"x", "multipart/form-data", 400, "Missing boundary"),
        (b"garbage", "multipart/form-data; boundary=edge", 400, ""),
        (b"--edge\r\n" * 3, "multipart/form-data; boundary=edge", 400, ""),
        (b"--edge--\r\n", "multipart/form-data; boundary=edge", 400, ""),
        (
            b'--edge\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--edge--\r\n',
            "multipart/form-data; boundary=edge", 400, "no image came",
        ),
        (
            b"--edge\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n" * 2_000 + b"--edge--\r\n",
            "multipart/form-data; boundary=edge", 400, "Too many fields",
        ),
        (b"x", "multipart/form-data; boundary=" + "e" * 5_000, 400, ""),
        (b"x", ";;;=\xff", 415, "not an image"),
    ],
)  # fmt: skip
def test_a_form_that_holds_no_image(body, kind, status, message, server: Address):
    reply = server.ask("POST", "/v1/classify", body, {"Content-Type": kind})
    assert reply.status == status, reply.content
    assert message in reply.json["detail"]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 40_000,
    ],
)
def test_bytes_that_are_not_http(sent, server: Address):
    assert b" 400 " in server.raw(sent).split(b"\r\n")[0]
    assert server.ask("GET", "/healthz").status == 200


def test_a_client_that_leaves_in_the_middle(server: Address):
    for _ in range(20):
        with socket.create_connection((server.host, server.port)) as connection:
            connection.sendall(
                b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nabc"
            )
    assert server.classify(digit(6)).status == 200


def test_slow_headers_and_slow_bodies_are_not_waited_for():
    with in_thread(header_seconds=0.5, body_seconds=0.7) as server:
        start = time.monotonic()
        assert server.raw(b"GET / HTTP/1.1\r\nHo") == b""
        assert 0.3 < time.monotonic() - start < 5
        start = time.monotonic()
        answer = server.raw(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 408")
        assert 0.5 < time.monotonic() - start < 5
        assert server.metric("vivavoce_dropped_connections_total") == 1


def test_a_byte_now_and_then_does_not_help():
    with (
        in_thread(header_seconds=1) as server,
        socket.create_connection((server.host, server.port)) as connection,
    ):
        connection.settimeout(0.2)
        start = time.monotonic()
        received = None
        while received != b"" and time.monotonic() - start < 10:
            try:
                connection.sendall(b"G")
                received = connection.recv(1)
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() - start < 5


def test_bodies_share_a_bound():
    with in_thread(receiving=100_000) as server:
        head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n"
        with socket.create_connection((server.host, server.port)) as holder:
            holder.sendall(head + bytes(80_000))
            time.sleep(0.3)
            reply = server.classify(bytes(60_000))
            assert reply.status == 503
            assert reply.headers["retry-after"] == "1"
            assert server.classify(digit(6)).status == 200
        time.sleep(0.3)
        assert server.classify(bytes(60_000)).status == 415


def slow_client(server: Address, k: int) -> socket.socket:
    """A connection that is never done: nothing, half a header, or half a body."""
    connection = socket.create_connection((server.host, server.port), timeout=20)
    start = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n"
    connection.sendall((b"", start, start + b"Content-Length: 5000\r\n\r\nabc")[k % 3])
    return connection


@pytest.mark.parametrize("connections", [pytest.param(1_200, marks=pytest.mark.full), 300])
def test_a_thousand_slow_clients(connections):
    """With room for all of them, and without: whoever has a question gets an answer."""
    with in_thread(connections=connections, header_seconds=5, body_seconds=5) as server:
        crowd = [slow_client(server, k) for k in range(1_000)]
        try:
            for k in range(10):
                start = time.monotonic()
                assert server.classify(digit(k)).json["class"] == str(k)
                assert time.monotonic() - start < 2
            crowded = server.metric("vivavoce_dropped_connections_total")
            assert crowded >= 700 if connections == 300 else crowded == 0
            for connection in crowd:
                with connection:  # each is answered 408 or closed, in time
                    connection.settimeout(15)
                    with contextlib.suppress(ConnectionResetError):
                        assert connection.recv(12) in (b"", b"HTTP/1.1 408")
        finally:
            for connection in crowd:
                connection.close()
        assert server.classify(digit(1)).status == 200
