"""The input gradient of an ONNX model, run by onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from ...errors import VivavoceError
from . import losses
from .graph import INT, Graph
from .prepare import normalise, specialise
from .reverse import differentiate

SCORES, LOSS, GRADIENT, GOALS = "scores", "vivavoce_loss", "vivavoce_gradient", "vivavoce_goals"


class InputGradient:
    """Loss and its gradient with respect to the image, for one model and one loss, on onnxruntime.

    A graph is made for each batch size that is asked for: with every shape known, onnxruntime plans its
    memory once. Smaller batches are filled up to a size that is there already, if that is not too far.

    Args:
        model: takes one float32 image [N, C, H, W] and gives `scores` [N, K], larger is better; models
            that predict labels also give `label` [N, *label shape] and hold `label_bank` [K, *label shape].
        loss: a name in `losses.LOSSES`.
        image: name of the input.
        device: `cpu` or `cuda`.
        threads: onnxruntime's threads; None: as many as there are cores.

    Raises:
        UnsupportedOperator: the gradient is not available.
        VivavoceError: no such loss, input or output, or the device is not there.
    """

    def __init__(
        self, model: onnx.ModelProto, loss: str, *, image: str = "image", device: str = "cpu", threads: int | None = None
    ) -> None:
        self.loss = losses.find(loss)
        self.image = image
        self.threads = threads
        self.device = device
        self._model = normalise(model, list(dict.fromkeys([SCORES, self.loss.output])))
        self._sessions: dict[tuple[int, ...], onnxruntime.InferenceSession] = {}
        shape = _declared_shape(self._model, image)
        if shape is not None:
            self.graph((1, *shape))  # refuse now what cannot be differentiated

    def graph(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """The input-gradient graph for images of one shape [N, C, H, W]."""
        model = specialise(self._model, self.image, shape)
        graph = Graph(model, blocked=self.device == "cpu")
        goals = graph.input(GOALS, (shape[0],), INT)
        loss = self.loss.function(graph, graph.value(self.loss.output), goals)
        gradient = differentiate(graph, loss, self.image)
        return graph.model({SCORES: graph.value(SCORES), LOSS: loss, GRADIENT: gradient})

    def __call__(self, images: np.ndarray, goals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Loss, gradient and scores of a batch.

        Args:
            images: float32 [N, C, H, W].
            goals: int64 [N], the class that each image's loss is about.

        Returns:
            loss float32 [N], the gradient of each image's own loss float32 [N, C, H, W], scores float32 [N, K].
        """
        count = len(images)
        size = self._size(count, images.shape[1:])
        if size > count:  # copies, and not zeros: a dynamically quantised model looks at the whole batch's range
            fill = np.arange(size) % count
            images, goals = images[fill], goals[fill]
        feeds = {self.image: np.ascontiguousarray(images, np.float32), GOALS: np.asarray(goals, np.int64)}
        session = self._session((size, *images.shape[1:]))
        loss, gradient, scores = session.run([LOSS, GRADIENT, SCORES], feeds)
        return np.asarray(loss)[:count], np.asarray(gradient)[:count], np.asarray(scores)[:count]

    def _size(self, count: int, rest: tuple[int, ...]) -> int:
        """The smallest batch size in use that is not more than twice as large, or else this one."""
        sizes = [shape[0] for shape in self._sessions if shape[1:] == rest and count <= shape[0] <= 2 * count]
        return min(sizes, default=count)

    def _session(self, shape: tuple[int, ...]) -> onnxruntime.InferenceSession:
        if shape not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            options.intra_op_num_threads = self.threads or 0
            model = self.graph(shape).SerializeToString()
            self._sessions[shape] = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return self._sessions[shape]


def _declared_shape(model: onnx.ModelProto, image: str) -> tuple[int, ...] | None:
    """The image's [C, H, W] as the model declares it, None where it leaves a size open."""
    by_name = {v.name: v for v in model.graph.input}
    if image not in by_name:
        raise VivavoceError(f"the model has no input `{image}`; its inputs are: {', '.join(by_name)}")
    dims = by_name[image].type.tensor_type.shape.dim[1:]
    return tuple(d.dim_value for d in dims) if all(d.dim_value > 0 for d in dims) else None
