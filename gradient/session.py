"""The input gradient of an ONNX model, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx

from ..artifacts.device import DeviceArray, run, typed
from ..artifacts.runtime import check_device, make_session
from ..artifacts.sessions import give_back, session_of, weights_folder, write_apart
from ..errors import VivavoceError
from ..text import plain
from . import losses, memory
from .agreement import strayed, tolerance
from .assembly import GOALS, GRADIENT, LOSS, RIVALS, SCORES, VALUE, assemble
from .choice import CHOICE
from .errors import preparing
from .graph import Graph
from .pool import Pool
from .specialisation import Specialiser
from .value import Value

if TYPE_CHECKING:
    import onnxruntime


class Evaluation(NamedTuple):
    """What the graph computes for a batch of N."""

    scores: np.ndarray
    """float32 [N, K], by the file."""
    loss: np.ndarray
    """float32 [N]."""
    gradient: np.ndarray
    """Gradient of each image's own loss, shaped as the input or the value `of`; where the images are."""
    value: np.ndarray | None
    """What the value `of` holds; None where the gradient is with respect to the input."""


class InputGradient:
    """Losses of one model and their gradients with respect to the input, on onnxruntime.

    A graph is made for each batch size: with every shape known, onnxruntime plans its memory once. See `Pool`
    for the sizes in which a batch runs.

    Args:
        model: takes images [N, C, H, W], or anything else with the batch first, and gives `scores` [N, K],
            larger is better; models that predict labels also give `label` [N, *label shape] and hold
            `label_bank` [K, *label shape].
            Where `scores` are the result of a Softmax, losses are computed before it.
        loss: a name in `losses.LOSSES`.
        also: further losses that a call may choose; those that the model cannot have are left out. One graph
            and one session serve them all.
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
        also: Sequence[str] = (),
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
        given = {SCORES, *(o.name for o in model.graph.output)}
        if self.loss.output not in given:
            names = ", ".join(plain(o.name) for o in model.graph.output)
            raise VivavoceError(
                f"the loss `{loss}` needs a model that predicts labels; this one has no output "
                f"`{self.loss.output}` (its outputs are: {names}): choose another loss, such as cross-entropy"
            )
        self.losses = tuple(n for n in dict.fromkeys([loss, *also]) if losses.find(n).output in given)
        """Names of the losses that a call may choose."""
        with preparing():
            needed = [losses.find(name).output for name in self.losses]
            self._prepared = Specialiser(model, image, [scores, *{*needed} - {SCORES}], of)
        self.of = None if of == self._prepared.image else of
        self._tolerance = tolerance(model, device, self._prepared.quantised)
        self.graph_scores = np.zeros((0, 0), np.float32)
        """float32 [N, K]: the scores of the last call by the prepared graph, whatever the file says."""
        self.pool = Pool(self._make_session, rounded=device == "cuda")
        """The sessions, and how large they may be."""
        self._file = session_of(model, device=device, threads=threads) if self._prepared.quantised else None
        self._file_input = image if any(v.name == image for v in model.graph.input) else self._prepared.image
        self.weights = sum(t.ByteSize() for t in model.graph.initializer)
        """Bytes of the weights."""
        self._each: dict[tuple[int, ...], tuple[int, int]] = {}
        if self._prepared.rest is not None:
            self.bytes_per_image()  # refuse now what has no gradient

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

    def bytes_per_image(self, shape: Sequence[int] | None = None) -> tuple[int, int]:
        """What each image of a batch takes while the graph runs, and the image itself.

        Args:
            shape: the input's sizes after the batch, needed where the model leaves one open.
        """
        rest = self.sizes(shape)
        if rest not in self._each:
            graph, outputs = self.differentiated((self.declared_batch or 1, *rest))
            self._each[rest] = memory.bytes_per_image(graph, outputs, self.input)
        return self._each[rest]

    def limit(self, count: int, budget: int) -> None:
        """Run at most `count` images at a time, and keep as many sessions as fit a budget in bytes."""
        self.pool.largest, self.pool.kept = count, memory.sessions_beside(self, count, budget)

    def graph(self, shape: tuple[int, ...], blocked: bool | None = None) -> onnx.ModelProto:
        """The gradient graph for inputs of one shape [N, C, H, W]; for `blocked` see `assemble`."""
        graph, outputs = self.differentiated(shape, blocked)
        return graph.model(outputs)

    def differentiated(
        self, shape: tuple[int, ...], blocked: bool | None = None
    ) -> tuple[Graph, dict[str, Value]]:
        """The nodes of the model, the loss and the gradient, and what to put out; see `graph`."""
        blocked = self.blocked if blocked is None else blocked
        with preparing():
            return assemble(
                self._prepared.at(shape), shape[0], self.losses, scores=self.scores, image=self.input,
                of=self.of, blocked=blocked, straight_through=self.straight_through,
            )  # fmt: skip

    def __call__(
        self, images: np.ndarray | DeviceArray, goals: np.ndarray, rivals: np.ndarray | None = None,
        *, loss: str | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Loss, gradient and scores of a batch; see `evaluate`."""
        found = self.evaluate(images, goals, rivals, loss=loss)
        return found.loss, found.gradient, found.scores

    def evaluate(
        self,
        images: np.ndarray | DeviceArray,
        goals: np.ndarray,
        rivals: np.ndarray | None = None,
        others: Mapping[str, np.ndarray] | None = None,
        *,
        loss: str | None = None,
    ) -> Evaluation:
        """Everything the graph computes for a batch.

        Args:
            images: [N, C, H, W], or whatever the input is: float32 unless the model takes another type. A
                `DeviceArray` is used where it is.
            goals: int64 [N], the class that each image's loss is about.
            rivals: int64 [N], the class it is played off against, for losses between two classes.
            others: what the model's further inputs get, by name, if it has any.
            loss: one of `losses`; None: the first.

        Raises:
            VivavoceError: `rivals` or `others` are missing or not wanted, a class is not one of the model's,
                the loss is not one of `losses` or needs more classes, or the model runs one batch size only,
                and the value `of` does not have the images along its first axis.
        """
        images, name = typed(images, self._prepared.dtype), loss or self.name
        classes = self._checked_classes(len(images), name, goals, rivals)
        further = self._further(others or {})
        rows = classes | {k: v for k, v in further.items() if v.ndim and len(v) == len(images)}
        fixed = {k: v for k, v in further.items() if k not in rows}
        if len(self.losses) > 1:
            fixed[CHOICE] = np.array(self.losses.index(name))
        count, step = len(images), self.only_batch(images.shape[1:])
        parts, first = [], 0
        while first < count or not parts:
            size = step or (count if self.of else self.pool.size(count - first, images.shape[1:]))
            some = {name: array[first : first + size] for name, array in rows.items()}
            parts.append(self._run(images[first : first + size], some, fixed, size, count == size))
            first += size
        value, gradient, scores, own, *inner = map(np.concatenate, zip(*parts, strict=True))
        self.graph_scores = own
        self._check_scores(name, classes, scores.shape[1])
        return Evaluation(scores, value, gradient, inner[0] if inner else None)

    def _checked_classes(
        self, count: int, name: str, goals: np.ndarray, rivals: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """The classes in their type, one per image; goals stand in for rivals that the loss does not have."""
        if name not in self.losses:
            raise VivavoceError(f"the gradient has the losses {', '.join(self.losses)}, and not `{name}`")
        losses.check_rivals(name, rivals is not None)
        classes = {GOALS: np.asarray(goals, np.int64)}
        if any(losses.find(name).rivals for name in self.losses):
            classes[RIVALS] = classes[GOALS] if rivals is None else np.asarray(rivals, np.int64)
        for key, array in classes.items():
            if array.shape != (count,):
                what = "classes" if key == GOALS else "rivals"
                raise VivavoceError(f"{count} inputs need as many {what}, not {list(array.shape)}")
        return classes

    def _check_scores(self, name: str, classes: dict[str, np.ndarray], count: int) -> None:
        """Refuse classes that the model does not have, and a loss that needs more of them."""
        losses.check_count(name, self.scores, count)
        for array in classes.values():
            if array.size and not 0 <= array.min() <= array.max() < count:
                raise VivavoceError(f"the classes are 0 to {count - 1}; one that is given is not")

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
        self, images: np.ndarray | DeviceArray, rows: dict[str, np.ndarray], fixed: dict[str, np.ndarray],
        size: int, alone: bool,
    ) -> list[np.ndarray]:  # fmt: skip
        """Loss, gradient, scores, the graph's own scores, and the value if any, of one batch.

        It is filled up to a size with copies, unless it has that size and is the only one (`alone`).

        Copies, and not zeros: a dynamically quantised model looks at the range of the whole batch.
        """
        count = len(images)
        if size > count:
            fill = np.arange(size) % count
            images, rows = images[fill], {name: array[fill] for name, array in rows.items()}
        feeds = {self._prepared.image: images, **rows, **fixed}
        names = [LOSS, GRADIENT, self.scores, *([VALUE] if self.of else [])]
        with preparing():
            found = run(self.pool.session(images.shape), names, feeds, kept=[GRADIENT])
        if not alone and len(found[1]) != size:
            raise VivavoceError(
                f"`{plain(self.of or '')}` does not have the images along its first axis, and the model runs "
                f"{size} at a time; give it {size}"
            )
        loss, gradient, own, *value = found if alone else (array[:count] for array in found)
        if self._file is None:
            return [loss, gradient, own, own, *value]
        given = {name: array for name, array in feeds.items() if name in self._prepared.others}
        scores = run(self._file, [self.scores], given | {self._file_input: images})[0]
        scores = np.asarray(scores).reshape(own.shape if alone else (size, -1))[:count]
        return [loss, gradient, scores, own, *value]

    def _make_session(self, shape: tuple[int, ...]) -> onnxruntime.InferenceSession:
        with weights_folder() as folder:
            path = self._write(shape, folder)
            give_back()  # the graph and its arrays are gone when onnxruntime reads it
            return make_session(path, device=self.device, threads=self.threads)

    def _write(self, shape: tuple[int, ...], folder: Path) -> Path:
        graph, outputs = self.differentiated(shape)
        self._prepared.release()
        return write_apart(*graph.parts(outputs), folder)
