"""A model and its gradient: everything that an attack sees."""

from __future__ import annotations

from functools import cached_property
from typing import cast

import numpy as np

from ..artifacts import ExportedModel, Outputs, decide
from ..artifacts.device import DeviceArray
from ..artifacts.onnx_model import OnnxModel
from ..errors import VivavoceError
from ..gradient.agreement import FLOAT32, SHARE, strayed
from ..gradient.errors import PiecewiseConstant, UnsupportedOperator, preparing
from ..images import ImageSet
from ..text import plain
from .differentiable import Gradient, gradient_of
from .grid import Grid
from .room import LARGEST, most, room
from .saturation import STAND_INS, flattened, largest, vanished

KEEPING = ("cuda",)
"""Devices on which the images of an attack stay from its first step to its last."""


class Target:
    """An exported model under attack, with counters of the attacks' queries.

    Args:
        model: the exported model.
        loss: what attacks climb that choose none themselves: `smooth-l1` (to the class's bank row) or
            one on the scores, see `gradient.losses`; None: smooth L1 for models trained on labels,
            cross-entropy for the others (Chen et al. 2021, section 4.2).
        straight_through: where step functions leave no gradient, take a straight-through estimate of it.
    """

    def __init__(self, model: ExportedModel, loss: str | None = None, straight_through: bool = False) -> None:
        self.model, self.straight_through = model, straight_through
        self._by_smooth_l1 = model.manifest.label is not None and model.manifest.label.metric is None
        self.loss = loss or ("smooth-l1" if self._by_smooth_l1 else "cross-entropy")
        self.grid = Grid.of(model)
        """The values that pixels have for the file; None: any."""
        self.queries = 0
        """Images the file has answered."""
        self.gradients = 0
        """Gradients taken, counted per image."""
        self.dead = 0
        """Of those, the ones that were zero everywhere or not finite even where no loss saturates."""
        self.compared = 0
        """Images whose scores behind a gradient were compared with the file's."""
        self.strayed = 0
        """Of those, the ones that the file scores otherwise, beyond rounding."""
        self.not_finite = 0
        """Images that the file answered with a score that is infinite or not a number."""
        self.notes: list[str] = []
        """How attacks deviated from their publications, and why; each once."""
        if model.understood and model.understood.head.logarithms:
            self.note(f"the file gives {model.understood.head.text}")
        self.piecewise_constant = False
        """Whether there is no exact gradient because the scores are piecewise constant, as those of trees."""
        self.estimated: str | None = None
        """Why the gradient is a straight-through estimate; None if it is not."""
        self.flat = False
        """Whether all gradients of `try_gradient` vanished, as those of step functions do in torch."""
        self.under: tuple[ImageSet, np.ndarray]
        """The data set of the images under attack, and their places in it, int64 [N]."""
        self.others = np.zeros((0, 1, 1, 1), np.float32)
        """float32 [M, C, H, W]: images of the data set that some attacks start from."""
        self.patterns: dict[tuple[str, ...], np.ndarray] = {}
        """What universal attacks have learned, by `Universal.key`."""
        self._decisions: np.ndarray | None = None
        self.at_a_time: int | None = None
        """Most images that the file and the gradient get at a time; None: any number. See `limit`."""
        self._gradient: Gradient | None = None
        self._missing: str | None = None
        self._due = True

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return len(self.model.manifest.classes)

    @property
    def gradient_missing(self) -> str | None:
        """Why no gradient is available; None if it is. Any failure to compute one is a reason."""
        if self._missing is None and self._gradient is None:
            try:
                with preparing():
                    self._gradient = self._make_gradient()
            except VivavoceError as error:
                self._lack(error)
        return self._missing

    def place(self, images: np.ndarray) -> np.ndarray:
        """The images where the model runs: on a GPU a `DeviceArray`, which attacks use like a numpy array."""
        if not isinstance(self.model, OnnxModel) or self.model.device not in KEEPING:
            return images
        return cast(np.ndarray, DeviceArray.upload(images, self.model.device))

    @property
    def decisions_of_others(self) -> np.ndarray:
        """int64 [M]: the classes that the model decides for on `others`; asked once."""
        if self._decisions is None or len(self._decisions) != len(self.others):
            self._decisions = decide(self.answer(self.others).scores)
        return self._decisions

    def _lack(self, error: VivavoceError) -> None:
        """Fall back to an estimate of the gradient; without one, record why no gradient is available."""
        first, self.estimated = self.estimated is None, None
        if first:
            self.piecewise_constant = isinstance(error, PiecewiseConstant)
        if first and self.straight_through and isinstance(error, UnsupportedOperator):
            try:
                with preparing():
                    self._gradient = self._make_gradient(estimated=True)
            except VivavoceError:
                self._gradient = None
            else:
                self.estimated = f"{error.operator} at `{plain(error.node)}` is a step function"
                if self.at_a_time is not None:
                    self._gradient.limit(self.at_a_time, self._room)
                return
        self._missing = str(error)

    def try_gradient(self, images: np.ndarray) -> None:
        """Compute one uncounted gradient, and disable gradients if they belong to a different function.

        Args:
            images: float32 [N, C, H, W] in 0..1.
        """
        scores = self._ask(images).scores
        if self.gradient_missing is not None:
            return
        try:
            with preparing():
                gradient = self._differentiate(images, np.zeros(len(images), np.int64), self.loss)[1]
            self.flat = bool(vanished(largest(gradient)).all())
            off = self._strayed(images, scores)
        except VivavoceError as error:
            return self._lack(error)
        if off.mean() > SHARE:
            self._missing = (
                f"the scores of its gradient graph are not those of the file ({off.mean():.0%} of the images "
                "differ by more than rounding)"
            )

    def compare_next(self) -> None:
        """Compare the scores behind the next gradient with the file's."""
        self._due = True

    def answer(self, images: np.ndarray) -> Outputs:
        """Run the file itself on images [N, C, H, W] in 0..1."""
        if not len(images):
            return self._no_answers()
        outputs = self._ask(images)
        self.queries += len(images)
        self.not_finite += int((~np.isfinite(outputs.scores)).any(1).sum())
        return outputs

    def gradient(
        self,
        images: np.ndarray,
        classes: np.ndarray,
        loss: str | None = None,
        rivals: np.ndarray | None = None,
        *,
        as_it_is: bool = False,
    ) -> np.ndarray:
        """Gradient of each image's loss for its class: float32 [N, C, H, W]; see `loss_and_gradient`."""
        return self.loss_and_gradient(images, classes, loss or self.loss, rivals, as_it_is=as_it_is)[1]

    def loss_and_gradient(
        self,
        images: np.ndarray,
        classes: np.ndarray,
        loss: str,
        rivals: np.ndarray | None = None,
        *,
        as_it_is: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A loss, its gradient and the scores behind it.

        Where the gradient of a loss is zero though the model is not flat, the attack would stand still,
        and a loss of `STAND_INS` takes over. The log-odds also give the value: in exact arithmetic their
        gradient points along that of cross-entropy, and they rise and fall together. The others leave
        the value alone, so attacks still judge by the published loss which point is best.

        Args:
            images: float32 [N, C, H, W] in 0..1.
            classes: int64 [N], the class that each image's loss is about.
            loss: a name in `gradient.losses.LOSSES`.
            rivals: int64 [N], the class it is played off against, for losses between two classes.
            as_it_is: let nothing take over; the size of the gradient matters.

        Returns:
            loss float32 [N], gradient float32 [N, C, H, W] with zeros where it is not finite, and scores
            float32 [N, K].

        Raises:
            UnsupportedOperator: no gradient is available; attacks without gradients still work.
        """
        if not len(images):
            return np.zeros(0, np.float32), images.copy(), self._no_answers().scores
        value, gradient, scores = self._differentiate(images, classes, loss, rivals)
        if self._due:
            self._due = False
            off = self._strayed(images, self._ask(images).scores)
            self.compared, self.strayed = self.compared + len(images), self.strayed + int(off.sum())
        self.gradients += len(images)
        sizes = largest(gradient)
        dead, flat = vanished(sizes), flattened(loss, value, sizes)
        if loss in STAND_INS and flat.any():
            other, slope = self._stand_in(loss, images, classes, rivals)
            dead[flat] = vanished(largest(slope[flat]))
            if not as_it_is and not dead[flat].all():
                flat &= ~dead
                gradient = np.where(flat[:, None, None, None], slope, gradient)
                value = np.where(flat, other, value) if loss == "cross-entropy" else value
                self.note(f"{loss} is flat on some images; attacks use {STAND_INS[loss]} for those")
        self.dead += int(dead.sum())
        return value, np.where(np.isfinite(gradient), gradient, 0), scores

    def distance_gradient(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Gradient of the output `loss` for one class of each image, which thresholds compare: [N, C, H, W].

        By the metric of a bank it falls as the score grows, and has the length of the score's gradient.
        """
        if self._by_smooth_l1:
            return self.gradient(images, classes, "smooth-l1")
        return -self.gradient(images, classes, "score")

    def _stand_in(
        self, loss: str, images: np.ndarray, classes: np.ndarray, rivals: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Value and gradient of the loss that stands in for one, not counted.

        Of the whole batch, since a graph is made for each size of one.
        """
        return self._differentiate(images, classes, STAND_INS[loss], rivals)[:2]

    def _no_answers(self) -> Outputs:
        """The file's outputs for an empty batch."""
        label = self.model.manifest.label
        none = np.zeros((0, self.classes), np.float32)
        return Outputs(none, np.zeros((0, *label.shape), np.float32), none) if label else Outputs(none)

    def note(self, text: str) -> None:
        """Note, once, how an attack deviated from its publication."""
        if text not in self.notes:
            self.notes.append(text)

    def fitting_batch(self) -> int:
        """How many images at a time fit the memory; see `room`."""
        return LARGEST if self.gradient_missing is not None else most(self.model, self._gradient, self._room)

    @cached_property
    def _room(self) -> int:
        """Asked once: later the model and its gradient are in the memory already."""
        return room(self.model)

    def limit(self, count: int, only_answers: bool = False) -> None:
        """Let the file and the gradient get at most `count` images at a time, and keep memory for those."""
        self.at_a_time = count
        if not only_answers and self.gradient_missing is None:
            assert self._gradient is not None
            self._gradient.limit(count, self._room)

    def _ask(self, images: np.ndarray) -> Outputs:
        """The file's answers, not counted."""
        size = self.at_a_time or len(images)
        return Outputs.joined([self.model.answer(images[k : k + size]) for k in range(0, len(images), size)])

    def _differentiate(
        self, images: np.ndarray, classes: np.ndarray, loss: str, rivals: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Loss, gradient and scores, as the gradient gives them, not counted."""
        if self._gradient is None and self.gradient_missing is not None:
            self._gradient = self._make_gradient()  # which raises the reason
        assert self._gradient is not None
        try:
            return self._gradient(images, classes, rivals, loss=loss)
        except UnsupportedOperator as error:  # of a file that leaves sizes open
            if self.estimated is None:
                self._lack(error)
            if self.estimated is None:
                raise
            return self._gradient(images, classes, rivals, loss=loss)

    def _strayed(self, images: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Which images the gradient just taken scores otherwise than the file: bool [N].

        A file that answers at random does not agree with itself either; that is no fault of the gradient.
        """
        assert self._gradient is not None
        off = self._gradient.strayed(scores)
        return off & ~strayed(self._ask(images).scores, scores, FLOAT32) if off.any() else off

    def _make_gradient(self, estimated: bool = False) -> Gradient:
        return gradient_of(self.model, self.loss, self._by_smooth_l1, estimated)
