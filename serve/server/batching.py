"""Requests that come together are answered by one run of the model."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np

from ...artifacts import ExportedModel
from ..answers import Answer, answer_images
from .errors import Busy
from .limits import Limits
from .metrics import Metrics


class Batcher:
    """Hands images to the model, all that wait at once; the model runs in a thread of its own.

    Nothing waits for a batch to fill: while one runs, the next one gathers.
    """

    def __init__(self, model: ExportedModel, limits: Limits, metrics: Metrics) -> None:
        self._model, self._limits, self._metrics = model, limits, metrics
        self._queue: deque[tuple[np.ndarray, asyncio.Future[Answer]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "model")
        self._accepted = 0

    @contextmanager
    def accepted(self) -> Iterator[None]:
        """Hold one of the places for requests that are being worked on.

        Raises:
            Busy: all are taken.
        """
        if self._accepted >= self._limits.waiting:
            raise Busy
        self._accepted += 1
        self._metrics.accepted.inc()
        self._metrics.waiting.set(self._accepted)
        try:
            yield
        finally:
            self._accepted -= 1
            self._metrics.waiting.set(self._accepted)

    async def answer(self, image: np.ndarray) -> Answer:
        """The answer to one image, float32 [C, H, W] in 0..1."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append((image, future))
        if self._running is None:
            self._running = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        """Run batches until no request waits."""
        loop = asyncio.get_running_loop()
        while batch := self._next():
            images = np.stack([image for image, _ in batch])
            try:
                answers = await loop.run_in_executor(self._thread, self._ask, images)
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), answer in zip(batch, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
        self._running = None

    def _next(self) -> list[tuple[np.ndarray, asyncio.Future[Answer]]]:
        """What waits, up to a batch, without those who have given up."""
        batch = []
        with suppress(IndexError):
            while len(batch) < self._limits.batch:
                job = self._queue.popleft()
                if not job[1].done():
                    batch.append(job)
        return batch

    def _ask(self, images: np.ndarray) -> list[Answer]:
        start = time.perf_counter()
        answers = answer_images(self._model, images)
        self._metrics.model_seconds.observe(time.perf_counter() - start)
        self._metrics.batch.observe(len(images))
        return answers

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
