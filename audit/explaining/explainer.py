"""One model, the methods that explain it, and what they fall back to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...artifacts import ExportedModel
from ...artifacts.onnx_model import OnnxModel
from ...errors import VivavoceError
from ...gradient import UnsupportedOperator
from ...gradient.errors import Unprepared
from ...text import plain, suggestion
from .layers import choose_layer
from .methods import FALLBACK, METHODS, Choices, Found, Method, find
from .patch import Patch, only
from .subject import Quantity, Subject

DEFAULT, WITHOUT_LAYER = METHODS["grad-cam"], METHODS["integrated-gradients"]
"""The method if the user names none, and where the model has no convolution for it."""


@dataclass(frozen=True)
class Wishes:
    """What is to be explained, and how."""

    methods: tuple[str, ...] = ()
    """Names; none: the default of the model."""
    quantity: Quantity = "score"
    against: str | None = None
    """Name or number of a class."""
    layer: str | None = None
    seed: int = 0
    patch: str | None = None
    """A part of the spoken word, as `Patch.read` takes it."""


class Explainer:
    """Explains batches of images; says in one line each what it does otherwise than asked.

    Args:
        model: from `open_model`.
        wishes: what to explain, and how.
        note: takes a line for the user.

    Raises:
        VivavoceError: a method, class or layer is not there.
    """

    def __init__(
        self, model: ExportedModel, wishes: Wishes, note: Callable[[str], None] = lambda _: None
    ) -> None:
        self.model, self.note = model, note
        chosen = [find(name) for name in dict.fromkeys(wishes.methods)]
        against = None if wishes.against is None else class_number(model, wishes.against)
        self.patch = None if wishes.patch is None else Patch.read(wishes.patch)
        self.subject = Subject(self._heard(model), wishes.quantity, against)
        self.choices = Choices(wishes.layer, wishes.seed)
        self._checked = False
        self.methods = self._with_layer(chosen)

    def _heard(self, model: ExportedModel) -> ExportedModel:
        """The model, or the part of it that hears only the patch."""
        return model if self.patch is None else only(model, self.patch)

    def _with_layer(self, chosen: list[Method]) -> list[Method]:
        """The methods, after the layer was found that some of them need."""
        named, layer = bool(chosen), self.choices.layer
        chosen = chosen or [DEFAULT]
        if not any(m.needs == "layer" for m in chosen):
            if layer is not None:
                raise VivavoceError("--layer is for grad-cam and hirescam; choose one of them with --method")
            return chosen
        try:
            self.choices = replace(self.choices, layer=choose_layer(self.model, layer))
        except (UnsupportedOperator, Unprepared) as error:
            return self._fallen(chosen, [m for m in chosen if m.needs != "answers"], str(error))
        except VivavoceError:
            if named or layer is not None:
                raise
            return [WITHOUT_LAYER]
        return chosen

    def _fallen(self, methods: list[Method], failing: Sequence[Method], reason: str) -> list[Method]:
        """The methods with those that fail replaced by the fallback, once."""
        if not failing:
            return methods
        names = ", ".join(m.name for m in failing)
        reason = reason.removesuffix("; only gradient-free attacks can audit this model")
        self.note(f"note: {FALLBACK.name} instead of {names}: {reason}")
        return list(dict.fromkeys(FALLBACK if m in failing else m for m in methods))

    def check(self, images: np.ndarray) -> None:
        """Replace, once, the methods whose gradient is not available.

        Args:
            images: float32 [N, C, H, W] in 0..1, a few that will be explained.
        """
        if self._checked:
            return
        self._checked = True
        images = images[:4]
        for needed, why in (("gradient", self._why_no_gradient), ("layer", self._why_no_layer)):
            failing = [m for m in self.methods if m.needs == needed]
            if failing and (reason := why(images)):
                self.methods = self._fallen(self.methods, failing, reason)

    def _why_no_gradient(self, images: np.ndarray) -> str | None:
        return self.subject.why_no_gradient(images)

    def _why_no_layer(self, images: np.ndarray) -> str | None:
        assert self.choices.layer is not None
        return self.subject.why_no_inner(self.choices.layer, images)

    def explain(self, method: Method, images: np.ndarray, classes: np.ndarray) -> Found:
        """Explain images [N, C, H, W] for classes [N] by a method; what is not finite becomes zero."""
        with np.errstate(invalid="ignore", over="ignore"):
            found = method.run(self.subject, images, classes, self.choices)
        attribution = np.nan_to_num(found.attribution, nan=0.0, posinf=0.0, neginf=0.0)
        return found._replace(attribution=attribution)

    def with_model(self, graph_model: OnnxModel) -> Explainer:
        """The same for another model with the same layers."""
        other = object.__new__(Explainer)
        other.__dict__.update(self.__dict__)
        other.model = graph_model
        other.subject = Subject(self._heard(graph_model), self.subject.asked, self.subject.against)
        return other


def class_number(model: ExportedModel, name: str) -> int:
    """The index of a class given by its name, its spoken word, or its index.

    Raises:
        VivavoceError: there is no such class.
    """
    manifest = model.manifest
    for names in (manifest.classes, manifest.spoken):
        if name in names:
            return names.index(name)
    if name.isdecimal() and int(name) < len(manifest.classes):
        return int(name)
    raise VivavoceError(f"no class {plain(name)!r}; {suggestion(name, manifest.classes)}")
