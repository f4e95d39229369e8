"""A request's body: read as it comes, never more than is allowed, never for longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from .errors import Busy, RequestError
from .limits import Limits

DISCARDED = 8
"""A body up to so many times too large is read to its end and thrown away, so that the client gets to
read why; a larger one is cut off."""
PARTS = 8
"""Parts of a form that are looked at."""


@dataclass
class Reader:
    """Reads bodies, and knows how much all of them hold."""

    limits: Limits
    held: int = 0

    async def read(self, request: Request) -> bytes:
        """The whole body.

        Raises:
            RequestError: it is too large, or comes too slowly.
            Busy: too many bodies at once.
        """
        announced = request.headers.get("content-length", "")
        size = int(announced) if announced.isdecimal() else 0
        expects = "expect" in request.headers
        if size > self.limits.body * (1 if expects else DISCARDED):
            raise self._too_large(close=True)
        chunks: list[bytes] = []
        try:
            return await self._within_time(request, chunks)
        except ClientDisconnect:
            raise RequestError(400, "the client went away", close=True) from None
        except TimeoutError:
            raise RequestError(408, "the image came too slowly", close=True) from None
        finally:
            self.held -= sum(map(len, chunks))

    async def _within_time(self, request: Request, chunks: list[bytes]) -> bytes:
        """Collect the body in `chunks`; what is too large is counted and not kept."""
        limits, got = self.limits, 0
        start = asyncio.get_running_loop().time()
        async with asyncio.timeout(limits.body_seconds) as patience:
            async for chunk in _chunks(request):
                got += len(chunk)
                if got > limits.body * DISCARDED:
                    raise self._too_large(close=True)
                if got > limits.body:
                    self.held -= sum(map(len, chunks))
                    chunks.clear()
                    continue
                if self.held + len(chunk) > limits.receiving:
                    raise RequestError(503, Busy().args[0], close=True)
                self.held += len(chunk)
                chunks.append(chunk)
                patience.reschedule(start + limits.body_seconds + got / limits.body_rate)
        if got > limits.body:
            raise self._too_large()
        return b"".join(chunks)

    def _too_large(self, close: bool = False) -> RequestError:
        most = self.limits.body / 1e6
        return RequestError(413, f"too large: at most {most:g} MB; make the image smaller", close)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


def image_in(content_type: str, body: bytes) -> bytes:
    """The image in a body: a form's file, or the body itself. Work for a thread: forms can be long.

    Raises:
        RequestError: there is none.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        image = body
    elif options.get(b"boundary"):
        image = _form_file(options[b"boundary"], body)
    else:
        raise RequestError(400, "this form says no boundary")
    if not image:
        raise RequestError(400, "no image came: send it as the body, or as a form's file `image`")
    return image


class _Form:
    """The parts of a form: for each its headers and its content."""

    def __init__(self) -> None:
        self.parts: list[tuple[dict[bytes, bytes], bytearray]] = []
        self._field = bytearray()
        self._value = bytearray()

    def callbacks(self) -> dict:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self.parts[-1][1].extend(data[start:end]),
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
        }

    def _begin(self) -> None:
        if len(self.parts) == PARTS:
            raise RequestError(400, f"a form of more than {PARTS} parts; send one file, called `image`")
        self.parts.append(({}, bytearray()))

    def _header(self) -> None:
        self.parts[-1][0][bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()


def _form_file(boundary: bytes, body: bytes) -> bytes:
    """The content of the form's part `image`, else of its first file; empty when it has none."""
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except RequestError:
        raise
    except Exception as error:  # whatever was sent, the parser's trouble with it is the sender's
        raise RequestError(400, "this form cannot be read") from error
    files: dict[bytes, bytes] = {}
    for headers, content in form.parts:
        _, options = parse_options_header(headers.get(b"content-disposition", b""))
        if b"filename" in options or options.get(b"name") == b"image":
            files.setdefault(options.get(b"name", b""), bytes(content))
    return files.get(b"image") or next(iter(files.values()), b"")
