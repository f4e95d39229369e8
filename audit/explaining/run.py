"""Explains the images of a command line, group by group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...artifacts import ExportedModel, Outputs, decide
from ...console import Losses, say
from ...errors import VivavoceError
from ...files import is_folder, make_folder, write_whole
from ...images.asked import Asked
from ...images.fit import Fit
from ...images.imageset import to_float
from ...text import file_stems, plain
from .evaluation import Evaluated, evaluate
from .explainer import Explainer, class_number
from .explanation import Explanation
from .outputs import WRITERS, check_outputs
from .subject import softmax

GROUP = 16
"""Images in memory at a time. The figures of `--evaluate` are those of the first group."""


@dataclass
class Run:
    """The work of one command, and what it has found.

    Args:
        explainer: what explains.
        images: what the command line names.
        classes: names of the classes to explain for every image; none: the model's decision.
        outputs: files and folders.

    Raises:
        VivavoceError: a class is not there, or an output cannot be written.
    """

    explainer: Explainer
    images: Sequence[Asked]
    classes: Sequence[str]
    outputs: Sequence[Path]
    failed: int = 0
    kept: list[Explanation] = field(default_factory=list)
    losses: Losses = field(default_factory=Losses)
    first: tuple[np.ndarray, np.ndarray] | None = None
    """Images and classes of the first group, for the evaluation."""

    def __post_init__(self) -> None:
        """Check all that can be checked before the work."""
        entry = self.model.manifest.input
        self._numbers = list(dict.fromkeys(class_number(self.model, name) for name in self.classes))
        self._stems = file_stems([asked.name for asked in self.images])
        if self.explainer.subject.against in self._numbers:
            raise VivavoceError("--class and --against name the same class; give two different ones")
        size = entry.height * entry.width * (4 * (1 + entry.channels) + entry.channels)
        check_outputs(self.outputs, self.count, size)
        for path in self.outputs:
            if path.exists() and any(Path(asked.name).resolve() == path.resolve() for asked in self.images):
                raise VivavoceError(f"{path}: is one of the images; give a different --output")

    @property
    def model(self) -> ExportedModel:
        """The file."""
        return self.explainer.model

    @property
    def count(self) -> int:
        """Number of explanations."""
        return len(self.images) * max(1, len(self._numbers)) * len(self.explainer.methods)

    def explain(self, advance: Callable[[], None]) -> None:
        """Explain everything; write to folders on the way, and keep what files need.

        Raises:
            VivavoceError: the only image cannot be explained.
        """
        fit = Fit.of(self.model.manifest.input)
        files = [path for path in self.outputs if not is_folder(path)]
        for start in range(0, len(self.images), GROUP):
            places, pixels = self._read(range(start, min(start + GROUP, len(self.images))), fit)
            if not places:
                continue
            images = to_float(np.stack(pixels))
            answers = self.model.answer(images)
            self.explainer.check(images)
            for number in self._numbers or [None]:
                for place, explanation in self._group(places, pixels, images, answers, number):
                    self._tell(place, explanation)
                    if files:
                        self.kept.append(explanation)
                    advance()

    def _read(self, places: range, fit: Fit) -> tuple[list[int], list[np.ndarray]]:
        """The images that can be read, and where they are in the list."""
        found: list[tuple[int, np.ndarray]] = []
        for place in places:
            try:
                found.append((place, self.images[place].read(fit)))
            except VivavoceError as error:
                self._fail(error)
        return [place for place, _ in found], [pixels for _, pixels in found]

    def _fail(self, error: VivavoceError) -> None:
        if len(self.images) == 1:
            raise error
        self.failed += 1
        say(f"error: {error}", err=True)

    def _group(
        self,
        places: Sequence[int],
        pixels: Sequence[np.ndarray],
        images: np.ndarray,
        answers: Outputs,
        number: int | None,
    ) -> Iterator[tuple[int, Explanation]]:
        """Explanations of a group for one class, image by image."""
        decisions = decide(answers.scores)
        goals = decisions if number is None else np.full(len(places), number)
        keep = [k for k in range(len(places)) if self._can(places[k], goals[k])]
        if not keep:
            return
        if self.first is None:
            self.first = images[keep], goals[keep]
        found = [(m, self.explainer.explain(m, images[keep], goals[keep])) for m in self.explainer.methods]
        shares = softmax(answers.scores)
        for row, k in enumerate(keep):
            for method, result in found:
                attribution = result.attribution[row]
                yield (
                    places[k],
                    Explanation(
                        file=self.images[places[k]].name,
                        pixels=pixels[k],
                        decision=self._name(decisions[k]),
                        goal=self._name(goals[k]),
                        rival=self._rival,
                        probability=float(shares[k, goals[k]]),
                        method=method,
                        layer=self.explainer.choices.layer if method.needs == "layer" else None,
                        attribution=attribution,
                        heat=method.heat(attribution[None])[0],
                        gap=None if result.gap is None else float(result.gap[row]),
                        **self._sound(answers, k, goals[k]),
                    ),
                )

    def _sound(self, answers: Outputs, k: int, goal: int) -> dict[str, Any]:
        """What an explanation of a patch says of it."""
        patch, label = self.explainer.patch, self.model.manifest.label
        if patch is None or label is None or answers.label is None:
            return {}
        return {"patch": patch.about(label, goal), "sound": patch.drawn(answers.label[k], label)}

    def _can(self, place: int, goal: int) -> bool:
        """Whether an image has a class to explain; if not, that is noted."""
        name = self.images[place].name
        if goal < 0:
            self._fail(
                VivavoceError(
                    f"{name}: the model decides on no class (a score is not a number); give --class"
                )
            )
        elif goal == self.explainer.subject.against:
            self._fail(
                VivavoceError(
                    f"{name}: the model decides on {plain(self._name(goal))} itself, which --against names; "
                    "give --class"
                )
            )
        else:
            return True
        return False

    def _name(self, number: int) -> str:
        return self.model.manifest.classes[number] if number >= 0 else "no class"

    @property
    def _rival(self) -> str | None:
        against = self.explainer.subject.against
        return None if against is None else self._name(against)

    def _tell(self, place: int, explanation: Explanation) -> None:
        """Print a line, and write the picture to the folders."""
        from .picture import png

        say(f"{explanation.file}: {explanation.answer}; why {explanation.about}: {explanation.how}")
        goal = [explanation.goal] if len(self._numbers) > 1 else []
        name = "-".join([self._stems[place], *file_stems(goal), explanation.method.name])
        for folder in self.outputs:
            if is_folder(folder):
                with self.losses.noting():
                    make_folder(folder)
                    write_whole(folder / f"{name}.png", png([explanation]))

    def evaluate(self, advance: Callable[[], None]) -> Evaluated | None:
        """The figures of the first group; None if no image could be read."""
        return None if self.first is None else evaluate(self.explainer, *self.first, advance)

    def write(self) -> None:
        """Write the files.

        Raises:
            VivavoceError: one or more cannot be written.
        """
        for path in self.outputs:
            if not is_folder(path) and self.kept:
                with self.losses.noting():
                    write_whole(path, WRITERS[path.suffix](self.model.path.name, self.kept))
                    say(f"wrote {path}", err=True)
        self.losses.end()
