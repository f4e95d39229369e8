"""Servers for tests, and ways of talking to them."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vivavoce.artifacts import ExportedModel, Outputs, Preprocessing, open_model
from vivavoce.artifacts.understood import Understood
from vivavoce.images import Fit, open_images

VIVAVOCE = str(Path(sys.executable).parent / "vivavoce")


@dataclass
class Reply:
    """An HTTP response, read to its end."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def classify(self, image: bytes, query: str = "", **headers: str) -> Reply:
        return self.ask("POST", f"/v1/classify{query}", image, headers)

    def metric(self, name: str) -> float:
        """The sum of a metric's series."""
        lines = self.ask("GET", "/metrics").content.decode().splitlines()
        return sum(float(x.rsplit(" ", 1)[1]) for x in lines if x.partition("{")[0].partition(" ")[0] == name)

    def raw(self, sent: bytes, seconds: float = 10) -> bytes:
        """What comes back for these bytes until the server closes or time is up."""
        with socket.create_connection((self.host, self.port), timeout=seconds) as connection:
            connection.sendall(sent)
            received = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while chunk := connection.recv(65_536):
                    received += chunk
            return received


def form(image: bytes, name: str = "image") -> tuple[bytes, dict[str, str]]:
    """A form with one file, and its headers."""
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode()
    return head + image + b"\r\n--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


def digit(k: int, which: int = 0) -> bytes:
    """A test image of a digit as PNG."""
    digits = open_images("digits")
    index = int(np.flatnonzero(digits.labels == k)[which])
    return png(digits.read(index, Fit(32, 32)))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@contextlib.contextmanager
def in_thread(model: ExportedModel | None = None, examples=(), **limits: Any) -> Iterator[Address]:
    """A server in a thread of this process, with limits of the test's own."""
    from vivavoce.serve.server.limits import Limits
    from vivavoce.serve.server.run import Server, run

    addresses: list[str] = []
    servers: list[Server] = []
    up = threading.Event()

    def started(url: str) -> None:
        addresses.append(url)
        up.set()

    def work() -> None:
        run(
            model or open_model("digits-speech"), "127.0.0.1", 0, Limits(**limits),
            examples=examples, started=started, ready=servers.append,
        )  # fmt: skip

    thread = threading.Thread(target=work)
    thread.start()
    assert up.wait(30)
    try:
        yield Address("127.0.0.1", int(addresses[0].rsplit(":", 1)[1]))
    finally:
        servers[0].should_exit = True
        thread.join(30)
        assert not thread.is_alive()


class Process(Address):
    """`vivavoce serve` as users run it."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [VIVAVOCE, "serve", *arguments, "--port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout
        self.greeting = self._process.stdout.readline()
        if not self.greeting:
            raise RuntimeError(self._process.communicate()[1])
        super().__init__("127.0.0.1", int(self.greeting.split(" (")[0].rsplit(":", 1)[1]))

    @property
    def pid(self) -> int:
        return self._process.pid

    def memory(self, peak: bool = False) -> float:
        """Resident memory, MB."""
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(text.split("VmHWM:" if peak else "VmRSS:")[1].split()[0]) / 1000

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> tuple[int, str]:
        """Exit status and standard error."""
        _, errors = self._process.communicate(timeout=90)
        return self._process.returncode, errors

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.terminate()
        self.wait()


class SlowModel:
    """digits-speech, with a pause before each answer."""

    named = True
    understood: Understood | None = None
    preprocessing: Preprocessing | None = None

    def __init__(self, seconds: float) -> None:
        self._model, self.seconds = open_model("digits-speech"), seconds
        self.path, self.manifest, self.bank = self._model.path, self._model.manifest, self._model.bank
        self.voice, self.name_audio = self._model.voice, self._model.name_audio
        self.normalisation = self._model.normalisation
        self.batches: list[int] = []

    def answer(self, images: np.ndarray) -> Outputs:
        self.batches.append(len(images))
        time.sleep(self.seconds)
        return self._model.answer(images)
