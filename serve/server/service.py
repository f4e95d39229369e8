"""One model behind one server: from a body's bytes to an answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from ...artifacts import ExportedModel
from ...images import Fit
from ...images.imageset import ImageError, decode, to_float
from ...sound.speaking import speaks
from ..answers import Answer, answer_images, sound_of
from .batching import Batcher
from .body import Reader
from .errors import RequestError, of_image
from .limits import Limits
from .metrics import Metrics

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA")
"""What strangers may send: formats whose readers run no other program and announce their size."""

T = TypeVar("T")


class Service:
    """A model, its workers and its limits. Nothing here computes on the event loop."""

    def __init__(self, model: ExportedModel, limits: Limits) -> None:
        self.model, self.limits, self.metrics = model, limits, Metrics()
        self.reader = Reader(limits)
        self.batcher = Batcher(model, limits, self.metrics)
        self.stopping = False
        self._fit = Fit.of(model.manifest.input)
        self._threads = ThreadPoolExecutor(max(2, os.cpu_count() or 2), "images and sounds")

    def warm_up(self) -> None:
        """Ask once, so that a model that cannot answer is known before anybody connects."""
        entry = self.model.manifest.input
        blank = np.zeros((1, entry.channels, entry.height, entry.width), np.float32)
        answer = answer_images(self.model, blank)[0]
        if speaks(self.model):
            self.sound(answer)

    async def answer(self, image: bytes, finish: Callable[[Answer], T]) -> T:
        """Answer one image.

        Args:
            image: the bytes of its file.
            finish: turns the answer into what is wanted, in a thread of the pool.

        Raises:
            Busy: too many are waiting.
            RequestError: the image cannot be read, or the answer takes too long.
        """
        with self.batcher.accepted():
            try:
                async with asyncio.timeout(self.limits.answer_seconds):
                    pixels = await self._in_thread(self._read, image)
                    answer = await self.batcher.answer(pixels)
                    result = await self._in_thread(finish, answer)
            except TimeoutError:
                raise RequestError(503, "no answer in time; try again") from None
        sure = {None: "unknown", True: "yes", False: "no"}[answer.sure]
        self.metrics.answers.labels(sure).inc()
        return result

    def sound(self, answer: Answer) -> tuple[np.ndarray, int]:
        """The sound of an answer, and its samples per second."""
        return sound_of(self.model, answer)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()
        self.batcher.close()

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _read(self, image: bytes) -> np.ndarray:
        try:
            pixels = decode(image, self._fit, max_pixels=self.limits.pixels, formats=FORMATS)
        except ImageError as error:
            raise of_image(error) from error
        return to_float(pixels[None])[0]
