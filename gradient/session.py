"""The input gradient of an ONNX model, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime

from ..artifacts.runtime import check_device, make_session
from ..errors import VivavoceError
from ..text import plain
from . import losses
from .agreement import strayed, tolerance
from .errors import preparing
from .graph import FLOAT, INT, Graph
from .reverse import differentiate
from .specialisation import Specialiser
from .value import Value

SCORES, LOSS, GRADIENT, GOALS = "scores", "vivavoce_loss", "vivavoce_gradient", "vivavoce_goals"
RIVALS, VALUE = "vivavoce_rivals", "vivavoce_value"

KEPT = 4
"""Batch sizes that stay loaded; each holds the weights."""


class Evaluation(NamedTuple):
    """What the graph computes for a batch of N."""

    scores: np.ndarray
    """float32 [N, K], by the file."""
    loss: np.ndarray
    """float32 [N]."""
    gradient: np.ndarray
    """Gradient of each image's own loss, of the shape of the input or of the value `of`."""
    value: np.ndarray | None
    """What the value `of` holds; None where the gradient is with respect to the input."""


class InputGradient:
    """Loss and its gradient with respect to the input, for one model and one loss, on onnxruntime.

    A graph is made for each batch size that is asked for: with every shape known, onnxruntime plans its
    memory once. Smaller batches are filled up to a size that is there already, if that is not too far.

    Args:
        model: takes images [N, C, H, W], or anything else with the batch first, and gives `scores` [N, K],
            larger is better; models that predict labels also give `label` [N, *label shape] and hold
            `label_bank` [K, *label shape].
            Where `scores` are the result of a Softmax, losses are computed before it.
        loss: a name in `losses.LOSSES`.
        image: name of the input; the default also finds the only input of a model that names it otherwise.
        device: `cpu` or `cuda`.
        threads: onnxruntime's threads; None: as many as there are cores.
        straight_through: take step functions (Sign, Round, Floor, ...) as the identity instead of refusing.
        scores: name of the output that holds the scores.
        of: with respect to which value (see `inner_values`) the gradient is taken; None: the input.

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
        of: str | None = None,
    ) -> None:
        check_device(device)
        self.name, self.loss = loss, losses.find(loss)
        self.scores = scores
        self.device, self.threads, self.straight_through = device, threads, straight_through
        self.blocked = device == "cpu"
        self._needed = scores if self.loss.output == SCORES else self.loss.output
        if self.loss.output != SCORES and all(o.name != self._needed for o in model.graph.output):
            names = ", ".join(plain(o.name) for o in model.graph.output)
            raise VivavoceError(
                f"the loss `{loss}` needs a model that predicts labels; this one has no output "
                f"`{self._needed}` (its outputs are: {names}): choose another loss, such as cross-entropy"
            )
        with preparing():
            self._prepared = Specialiser(model, image, list(dict.fromkeys([scores, self._needed])), of)
        self.of = None if of == self._prepared.image else of
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
    def input(self) -> str:
        """Name of the input."""
        return self._prepared.image

    def only_batch(self, rest: tuple[int, ...]) -> int | None:
        """The only batch size that the model runs with for inputs [N, *rest]; None: any."""
        with preparing():
            return self._prepared.step(rest)

    def sizes(self, shape: Sequence[int] | None = None) -> tuple[int, ...]:
        """The input's sizes after the batch: those given, or those the model declares.

        Raises:
            VivavoceError: the model leaves one open and none are given.
        """
        return self._prepared.sizes(shape)

    @property
    def declared_batch(self) -> int | None:
        """The batch size that the model was exported for, None if any."""
        return self._prepared.declared or None

    def graph(self, shape: tuple[int, ...], blocked: bool | None = None) -> onnx.ModelProto:
        """The gradient graph for inputs of one shape [N, C, H, W].

        Args:
            shape: of the input.
            blocked: use onnxruntime's own operators for its blocked layout; None: on a CPU.
        """
        graph, outputs = self.differentiated(shape, blocked)
        return graph.model(outputs)

    def differentiated(
        self, shape: tuple[int, ...], blocked: bool | None = None
    ) -> tuple[Graph, dict[str, Value]]:
        """The nodes of the model, the loss and the gradient, and what to put out; see `graph`."""
        with preparing():
            return self._differentiated(shape, self.blocked if blocked is None else blocked)

    def _differentiated(self, shape: tuple[int, ...], blocked: bool) -> tuple[Graph, dict[str, Value]]:
        model = self._prepared.at(shape)
        graph = Graph(model, blocked=blocked, straight_through=self.straight_through)
        scores = losses.as_rows(graph.value(self.scores), shape[0])
        if scores.shape[1] < self.loss.fewest:
            raise VivavoceError(
                f"the loss `{self.name}` needs at least {self.loss.fewest} classes; the output "
                f"`{plain(self.scores)}` has {scores.shape[1]}"
            )
        goals = graph.input(GOALS, (shape[0],), INT)
        output = graph.value(self._needed)
        if self.loss.output == SCORES:
            output = losses.as_rows(losses.before_softmax(graph, output), shape[0])
        rivals = [graph.input(RIVALS, (shape[0],), INT)] if self.loss.rivals else []
        loss = self.loss.function(graph, output, goals, *rivals)
        source = graph.value(self.of or self._prepared.image)
        if source.array is not None:
            raise VivavoceError(f"`{plain(source.name)}` is a constant, and not computed from the input")
        if source.dtype != FLOAT:
            raise VivavoceError(f"`{plain(source.name)}` holds {source.dtype}; a gradient needs floats")
        gradient = differentiate(graph, loss, source.name)
        outputs = {self.scores: scores, LOSS: loss, GRADIENT: gradient}
        return graph, outputs | ({VALUE: graph.value(self.of)} if self.of else {})

    def __call__(
        self, images: np.ndarray, goals: np.ndarray, rivals: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Loss, gradient and scores of a batch; see `evaluate`."""
        found = self.evaluate(images, goals, rivals)
        return found.loss, found.gradient, found.scores

    def evaluate(
        self,
        images: np.ndarray,
        goals: np.ndarray,
        rivals: np.ndarray | None = None,
        others: Mapping[str, np.ndarray] | None = None,
    ) -> Evaluation:
        """Everything the graph computes for a batch.

        Args:
            images: [N, C, H, W], or whatever the input is: float32 unless the model takes another type.
            goals: int64 [N], the class that each image's loss is about.
            rivals: int64 [N], the class it is played off against, for losses between two classes.
            others: what the model's further inputs get, by name, if it has any.

        Raises:
            VivavoceError: `rivals` or `others` are missing or not wanted, a class is not one of the model's,
                or the model runs one batch size only, and the value `of` does not have the images along its
                first axis.
        """
        images, classes = np.asarray(images, self._prepared.dtype), {GOALS: np.asarray(goals, np.int64)}
        losses.check_rivals(self.name, rivals is not None)
        if rivals is not None:
            classes[RIVALS] = np.asarray(rivals, np.int64)
        for name, array in classes.items():
            if array.shape != (len(images),):
                what = "classes" if name == GOALS else "rivals"
                raise VivavoceError(f"{len(images)} inputs need as many {what}, not {list(array.shape)}")
        further = self._further(others or {})
        rows = classes | {k: v for k, v in further.items() if v.ndim and len(v) == len(images)}
        fixed = {k: v for k, v in further.items() if k not in rows}
        step = self.only_batch(images.shape[1:])
        size = step or (len(images) if self.of else self._size(len(images), images.shape[1:]))
        parts = []
        for k in range(0, max(len(images), 1), max(size, 1)):
            some = {name: array[k : k + size] for name, array in rows.items()}
            parts.append(self._run(images[k : k + size], some, fixed, size, len(images) == size))
        loss, gradient, scores, own, *value = map(np.concatenate, zip(*parts, strict=True))
        self.graph_scores = own
        for array in classes.values():
            if array.size and not 0 <= array.min() <= array.max() < scores.shape[1]:
                raise VivavoceError(f"the classes are 0 to {scores.shape[1] - 1}; one that is given is not")
        return Evaluation(scores, loss, gradient, value[0] if value else None)

    def _further(self, others: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The model's further inputs in their types."""
        known = self._prepared.others
        if others.keys() != known.keys():
            names = ", ".join(f"`{plain(name)}`" for name in known) or "none"
            raise VivavoceError(f"the model's further inputs are: {names}; give `others` with these names")
        return {name: np.asarray(array, known[name]) for name, array in others.items()}

    def strayed(self, scores: np.ndarray) -> np.ndarray:
        """Which images of the last call the prepared graph scores otherwise than the file: bool [N].

        Args:
            scores: what the file itself says of those images, float32 [N, K].
        """
        return strayed(self.graph_scores, scores, self._tolerance)

    def _run(
        self,
        images: np.ndarray,
        rows: dict[str, np.ndarray],
        fixed: dict[str, np.ndarray],
        size: int,
        alone: bool,
    ) -> list[np.ndarray]:
        """Loss, gradient, scores, the graph's own scores, and the value if any, of one batch.

        It is filled up to a size with copies, unless it has that size and is the only one (`alone`).

        Copies, and not zeros: a dynamically quantised model looks at the range of the whole batch.
        """
        count = len(images)
        if size > count:
            fill = np.arange(size) % count
            images, rows = images[fill], {name: array[fill] for name, array in rows.items()}
        feeds = {self._prepared.image: np.ascontiguousarray(images), **rows, **fixed}
        names = [LOSS, GRADIENT, self.scores, *([VALUE] if self.of else [])]
        with preparing():
            found = [np.asarray(array) for array in self._session(images.shape).run(names, feeds)]
        if not alone and len(found[1]) != size:
            raise VivavoceError(
                f"`{plain(self.of or '')}` does not have the images along its first axis, and the model runs "
                f"{size} at a time; give it {size}"
            )
        loss, gradient, own, *value = found if alone else (array[:count] for array in found)
        if self._file is None:
            return [loss, gradient, own, own, *value]
        given = {name: array for name, array in feeds.items() if name in self._prepared.others}
        scores = self._file.run([self.scores], given | {self._file_input: images})[0]
        scores = np.asarray(scores).reshape(own.shape if alone else (size, -1))[:count]
        return [loss, gradient, scores, own, *value]

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
