"""The input gradient of an ONNX model, run by onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from ..artifacts.runtime import check_device, make_session
from ..errors import VivavoceError
from . import losses
from .agreement import strayed, tolerance
from .errors import preparing
from .graph import INT, Graph
from .reverse import differentiate
from .specialisation import Specialiser
from .value import Value

SCORES, LOSS, GRADIENT, GOALS = "scores", "vivavoce_loss", "vivavoce_gradient", "vivavoce_goals"
RIVALS = "vivavoce_rivals"

KEPT = 4
"""Batch sizes that stay loaded; each holds the weights."""


class InputGradient:
    """Loss and its gradient with respect to the image, for one model and one loss, on onnxruntime.

    A graph is made for each batch size that is asked for: with every shape known, onnxruntime plans its
    memory once. Smaller batches are filled up to a size that is there already, if that is not too far.

    Args:
        model: takes one float32 image [N, C, H, W] and gives `scores` [N, K], larger is better; models
            that predict labels also give `label` [N, *label shape] and hold `label_bank` [K, *label shape].
            Where `scores` are the result of a Softmax, losses are computed before it.
        loss: a name in `losses.LOSSES`.
        image: name of the input; the default also finds the only input of a model that names it otherwise.
        device: `cpu` or `cuda`.
        threads: onnxruntime's threads; None: as many as there are cores.
        straight_through: take step functions (Sign, Round, Floor, ...) as the identity instead of refusing.
        scores: name of the output that holds the scores.

    Raises:
        UnsupportedOperator: the gradient is not available.
        Unprepared: something else failed while the graph was prepared.
        VivavoceError: no such loss, input or output, or the device is not there.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        loss: str,
        *,
        image: str = "image",
        device: str = "cpu",
        threads: int | None = None,
        straight_through: bool = False,
        scores: str = SCORES,
    ) -> None:
        check_device(device)
        self.loss = losses.find(loss)
        self.scores = scores
        self.device, self.threads, self.straight_through = device, threads, straight_through
        self.blocked = device == "cpu"
        self._needed = scores if self.loss.output == SCORES else self.loss.output
        with preparing():
            self._prepared = Specialiser(model, image, list(dict.fromkeys([scores, self._needed])))
        self._tolerance = tolerance(model, device, self._prepared.quantised)
        self.graph_scores = np.zeros((0, 0), np.float32)
        """float32 [N, K]: the scores of the last call by the prepared graph, whatever the file says."""
        self._sessions: dict[tuple[int, ...], onnxruntime.InferenceSession] = {}
        self._file = (
            make_session(model.SerializeToString(), device=device, threads=threads)
            if self._prepared.quantised
            else None
        )
        self._file_input = image if any(v.name == image for v in model.graph.input) else self._prepared.image
        if self._prepared.rest is not None:
            self.differentiated((self.declared_batch or 1, *self._prepared.rest))  # refuse now what it cannot

    @property
    def declared_shape(self) -> tuple[int, ...] | None:
        """The image's [C, H, W] as the model declares it, None where it leaves a size open."""
        return self._prepared.rest

    @property
    def declared_batch(self) -> int | None:
        """The batch size that the model was exported for, None if any."""
        return self._prepared.declared or None

    def graph(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """The input-gradient graph for images of one shape [N, C, H, W]."""
        graph, outputs = self.differentiated(shape)
        return graph.model(outputs)

    def differentiated(self, shape: tuple[int, ...]) -> tuple[Graph, dict[str, Value]]:
        """The nodes of the model, the loss and the gradient, and what to put out."""
        with preparing():
            return self._differentiated(shape)

    def _differentiated(self, shape: tuple[int, ...]) -> tuple[Graph, dict[str, Value]]:
        model = self._prepared.at(shape)
        graph = Graph(model, blocked=self.blocked, straight_through=self.straight_through)
        goals = graph.input(GOALS, (shape[0],), INT)
        output = graph.value(self._needed)
        if self.loss.output == SCORES:
            output = losses.before_softmax(graph, output)
        rivals = [graph.input(RIVALS, (shape[0],), INT)] if self.loss.rivals else []
        loss = self.loss.function(graph, output, goals, *rivals)
        gradient = differentiate(graph, loss, self._prepared.image)
        return graph, {self.scores: graph.value(self.scores), LOSS: loss, GRADIENT: gradient}

    def __call__(
        self, images: np.ndarray, goals: np.ndarray, rivals: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Loss, gradient and scores of a batch.

        Args:
            images: float32 [N, C, H, W].
            goals: int64 [N], the class that each image's loss is about.
            rivals: int64 [N], the class it is played off against; ignored by losses without one.

        Returns:
            loss float32 [N], gradient of each image's own loss float32 [N, C, H, W], scores float32 [N, K].

        Raises:
            VivavoceError: the loss needs `rivals` and they are missing.
        """
        images, classes = np.asarray(images, np.float32), {GOALS: np.asarray(goals, np.int64)}
        if self.loss.rivals:
            if rivals is None:
                raise VivavoceError("this loss is between two classes; give `rivals`")
            classes[RIVALS] = np.asarray(rivals, np.int64)
        with preparing():
            step = self._prepared.step(images.shape[1:])
        size = step or self._size(len(images), images.shape[1:])
        parts = []
        for k in range(0, max(len(images), 1), max(size, 1)):
            some = {name: array[k : k + size] for name, array in classes.items()}
            parts.append(self._run(images[k : k + size], some, size))
        loss, gradient, scores, own = map(np.concatenate, zip(*parts, strict=True))
        self.graph_scores = own
        return loss, gradient, scores

    def strayed(self, scores: np.ndarray) -> np.ndarray:
        """Which images of the last call the prepared graph scores otherwise than the file: bool [N].

        Args:
            scores: what the file itself says of those images, float32 [N, K].
        """
        return strayed(self.graph_scores, scores, self._tolerance)

    def _run(
        self, images: np.ndarray, classes: dict[str, np.ndarray], size: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Run one batch, filled up to a size with copies.

        Copies, and not zeros: a dynamically quantised model looks at the range of the whole batch.
        """
        count = len(images)
        if size > count:
            fill = np.arange(size) % count
            images, classes = images[fill], {name: array[fill] for name, array in classes.items()}
        feeds = {self._prepared.image: np.ascontiguousarray(images), **classes}
        with preparing():
            found = self._session(images.shape).run([LOSS, GRADIENT, self.scores], feeds)
        loss, gradient, own = (np.asarray(array)[:count] for array in found)
        if self._file is None:
            return loss, gradient, own, own
        scores = np.asarray(self._file.run([self.scores], {self._file_input: images})[0])[:count]
        return loss, gradient, scores, own

    def _size(self, count: int, rest: tuple[int, ...]) -> int:
        """The smallest batch size in use that is not more than twice as large, or else this one."""
        sizes = [shape[0] for shape in self._sessions if shape[1:] == rest and count <= shape[0] <= 2 * count]
        return min(sizes, default=count)

    def _session(self, shape: tuple[int, ...]) -> onnxruntime.InferenceSession:
        if shape not in self._sessions:
            if len(self._sessions) >= KEPT:
                self._sessions.pop(next(iter(self._sessions)))  # the oldest
            self._sessions[shape] = make_session(
                self.graph(shape).SerializeToString(), device=self.device, threads=self.threads
            )
        return self._sessions[shape]
