"""A load on a server of this machine, bounded in count and time: `python load.py PLAN.json`, figures as JSON.

The plan: `port`, `connections`, `requests` (in all), `seconds` (at most), `rate` (requests a second in all;
0: each connection asks again as soon as it has its answer), `query`, `images` (files).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving import Address


class Load:
    """Connections that ask over and over, and what became of each request."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.left = plan["requests"]
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        """Of the answers with status 200."""
        self.lost = 0
        """Requests that were sent and got no whole answer."""
        self.refused = 0
        """Connections that were not taken."""
        self.wrong = 0
        images = [Path(name) for name in plan["images"]]
        self.requests = [(self._request(path.read_bytes()), path.name[0]) for path in images]

    def _request(self, image: bytes) -> bytes:
        head = f"POST /v1/classify{self.plan['query']} HTTP/1.1\r\nHost: localhost\r\n"
        return f"{head}Content-Length: {len(image)}\r\n\r\n".encode() + image

    async def run(self) -> dict[str, Any]:
        start = self.begin = time.perf_counter()
        self.end = start + self.plan["seconds"]
        await asyncio.gather(*(self.client(k) for k in range(self.plan["connections"])))
        took, times = time.perf_counter() - start, sorted(self.seconds)
        return {
            "statuses": self.statuses, "lost": self.lost, "refused": self.refused, "wrong": self.wrong,
            "seconds": took, "rate": self.statuses[200] / took,
            "median": times[len(times) // 2] if times else None,
            "p99": times[int(len(times) * 0.99)] if times else None,
        }  # fmt: skip

    async def client(self, number: int) -> None:
        """Ask until the plan is done; a closed connection is opened again."""
        while self.left > 0 and time.perf_counter() < self.end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.plan["port"])
            except OSError:
                self.refused += 1
                return
            try:
                await self._ask_over_and_over(number, reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                self.lost += 1
            finally:
                writer.close()

    async def _ask_over_and_over(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while self.left > 0 and time.perf_counter() < self.end:
            turn, self.left = self.plan["requests"] - self.left, self.left - 1
            if self.plan["rate"]:  # the moment is fixed: a late answer to one does not delay the next
                await asyncio.sleep(self.begin + turn / self.plan["rate"] - time.perf_counter())
            request, name = self.requests[turn % len(self.requests)]
            start = time.perf_counter()
            writer.write(request)
            status, ends, body = await _response(reader)
            self.statuses[status] += 1
            if status == 200:
                self.seconds.append(time.perf_counter() - start)
                self.wrong += json.loads(body)["class"] != name
            elif status == 503 and not ends:
                await asyncio.sleep(0.05)
            if ends:
                return


async def _response(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    """Status, whether the connection ends, and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    return int(head.split()[1]), "connection: close" in head, await reader.readexactly(length)


def waiting(rate: float) -> int:
    """Connections for a rate: enough, and none so idle that the server closes it."""
    return max(2, min(32, int(rate)))


class Loader:
    """Starts this file in a process of its own, on images of all ten digits."""

    def __init__(self, folder: Path) -> None:
        from serving import digit

        self._folder = folder
        self._images = []
        for k in range(10):
            path = folder / f"{k}.png"
            path.write_bytes(digit(k, 1))
            self._images.append(str(path))

    def start(self, server: Address, **plan) -> subprocess.Popen[str]:
        plan = {"seconds": 120, "rate": 0, "query": "", "images": self._images, "port": server.port} | plan
        path = self._folder / "plan.json"
        path.write_text(json.dumps(plan))
        return subprocess.Popen([sys.executable, __file__, path], stdout=subprocess.PIPE, text=True)

    def run(self, server: Address, **plan) -> dict:
        done, _ = self.start(server, **plan).communicate(timeout=600)
        figures = json.loads(done)
        return figures


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Load(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).run())))
