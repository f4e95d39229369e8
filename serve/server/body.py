"""A request's image: read as it comes, never more than is allowed, never for longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from .errors import Busy, RequestError
from .limits import Limits

DISCARDED = 8
"""A body up to so many times too large is read to its end and thrown away, so that the client gets to
read why; a larger one is cut off."""
FIELDS = 8
"""Fields of a form, besides its one file."""
FIELD_BYTES = 10_000
"""Of each."""


@dataclass
class Reader:
    """Reads images from requests, and knows how many bytes are being received together."""

    limits: Limits
    held: int = 0

    async def read(self, request: Request) -> bytes:
        """The image that a request brings: its body, or the file of the form in it.

        Raises:
            RequestError: there is no image, the body is too large or comes too slowly, or the form cannot
                be read.
            Busy: too many bodies at once.
        """
        announced = request.headers.get("content-length", "")
        size = int(announced) if announced.isdecimal() else 0
        expects = "expect" in request.headers
        if size > self.limits.body * (1 if expects else DISCARDED):
            raise self._too_large(close=True)
        try:
            async with asyncio.timeout(self.limits.body_seconds) as patience:
                async with aclosing(self._chunks(request, patience)) as chunks:
                    image = await _image(request, chunks, self.limits)
        except ClientDisconnect:
            raise RequestError(400, "the client went away", close=True) from None
        except TimeoutError:
            raise RequestError(408, "the image came too slowly", close=True) from None
        if not image:
            raise RequestError(400, "no image came: send it as the body, or as a form's file `image`")
        return image

    async def _chunks(self, request: Request, patience: asyncio.Timeout) -> AsyncGenerator[bytes, None]:
        """The body as it comes; what is too large is counted and not passed on."""
        limits, got, held = self.limits, 0, 0
        start = asyncio.get_running_loop().time()
        try:
            async for chunk in request.stream():
                got += len(chunk)
                patience.reschedule(start + limits.body_seconds + got / limits.body_rate)
                if got > limits.body * DISCARDED:
                    raise self._too_large(close=True)
                if got > limits.body:
                    continue
                if self.held + len(chunk) > limits.receiving:
                    raise RequestError(503, Busy().args[0], close=True)
                self.held, held = self.held + len(chunk), held + len(chunk)
                yield chunk
        finally:
            self.held -= held
        if got > limits.body:
            raise self._too_large()

    def _too_large(self, close: bool = False) -> RequestError:
        most = self.limits.body / 1e6
        return RequestError(413, f"too large: at most {most:g} MB; make the image smaller", close)


async def _image(request: Request, chunks: AsyncGenerator[bytes, None], limits: Limits) -> bytes:
    """The whole body, or the file of a form; empty if the form has no file."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return b"".join([chunk async for chunk in chunks])
    parser = MultiPartParser(
        request.headers, chunks, max_files=1, max_fields=FIELDS, max_part_size=FIELD_BYTES
    )
    parser.spool_max_size = limits.body + 1  # in memory: `receiving` bounds all of it
    try:
        form = await parser.parse()
    except MultiPartException as error:
        async for _ in chunks:  # to its end, so that the client gets to read why
            pass
        raise RequestError(400, f"this form cannot be read: {error.message}") from None
    try:
        file = next((part for _, part in form.multi_items() if isinstance(part, UploadFile)), None)
        return await file.read() if file else b""
    finally:
        await form.close()
