"""The settings of an audit, and the plan made from them once, in which every choice is fixed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..artifacts import ExportedModel
from ..artifacts.identity import files_of
from ..errors import VivavoceError
from ..images import Fit, ImageSet, match, open_images, paired
from ..images.imageset import to_float
from .attacks.catalogue import ATTACKS
from .budget import Budget
from .learning import judged, learns, lessons
from .natural.choice import with_shift
from .natural.shift import SHIFTED
from .protocol import PROTOCOLS, Protocol, default, target_classes
from .room import LARGEST
from .sharding import Shard, Spread
from .target import Target
from .targets import read_targets

VALUES = 2_500_000
"""Pixel values of a batch that is only answered: 16 images at 224 pixels."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to audit. Every field has a default."""

    protocol: Protocol | None = None
    """None: the paper's for models that vivavoce trained, AutoAttack's for all others."""
    data: str | None = None
    """As `open_images` takes it; None: the data set the model was trained on."""
    shifted: str | None = None
    """The same objects in other circumstances, as `open_images` takes it: compare the two."""
    limit: int = 1000
    """Audit a stratified sample of at most this many images; 0: all."""
    finish: int | None = None
    """Only so many images of the sample, the first of its random order: those that an audit finished which
    ended early. None: all of it."""
    seed: int = 0
    batch_size: int | None = None
    """Images at a time; None: what keeps resident memory under 2 GB, at most 64."""
    targets: Path | tuple[int, ...] | None = None
    """A target class for every audited image: a CSV file `file,target`, or their numbers."""
    resume: Path | None = None
    """Save the state in this file after every batch, and resume from it if it exists.

    The file outlives the audit, so that a report that can't be written costs no attack; remove it afterwards.
    """
    budget: str | None = None
    """End after this time (`90s`, `10m`, `1h30m`) or so many gradients (`2000g`): the images are attacked in
    random order, and the report is about those that were finished. None: all of them."""
    references: bool = False
    """Also measure random noise and the smallest perturbation, to compare the attacks with."""
    command: str = ""
    """The command line, for the report."""
    spread: Spread | None = None
    """Attacks the images elsewhere (see `on_ray`), without a state to resume from; None: in this process."""


@dataclass(frozen=True)
class Plan:
    """An audit with every choice made: which images, which attacks, in which batches."""

    target: Target
    images: ImageSet
    source: str
    """The data set, as `open_images` takes it."""
    matching: str
    """How classes were matched with folders, in words."""
    planned: int
    """Images in the sample; an audit that ends early has fewer."""
    indices: np.ndarray
    """int64 [n]: the audited images' places in the data set."""
    goals: np.ndarray
    """int64 [n]: their target classes."""
    chosen: bool
    """Whether the user chose the target classes; otherwise they are drawn from the seed."""
    protocol: Protocol
    batch_size: int
    seed: int
    command: str
    budget: Budget | None = None
    shifted: str | None = None
    """The set that the source is compared with, likewise."""
    training: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64 [m]: the images that universal attacks learn from; empty without such attacks."""

    @classmethod
    def of(cls, model: ExportedModel, settings: Settings) -> Plan:
        """Resolve what the settings leave open.

        Raises:
            VivavoceError: the data do not fit the model, or a setting cannot be used.
        """
        files_of(model.path)  # read now, before the sessions take the memory; the report needs it
        source = source_of(model, settings.data)
        opened = open_images(source)
        if settings.shifted is not None:
            opened = paired(opened, open_images(settings.shifted))
        images, matching = match(opened, model.manifest.classes, model.named)
        wanted = protocol_of(settings, model)
        sample = judged(images, settings.limit, settings.seed, wanted)
        indices = first_of(sample, settings.finish, settings.seed)
        target = Target(model, straight_through=True)
        fit = Fit.of(model.manifest.input)
        batch_size = settings.batch_size or (_only_asked(fit) if wanted.natural else target.fitting_batch())
        target.limit(batch_size, only_answers=wanted.natural)
        if not wanted.natural:
            target.try_gradient(to_float(images.pixels(indices[:batch_size], fit)))
        protocol = wanted.fitted(target)
        nothing = np.zeros(0, np.int64)
        return cls(
            target=target,
            images=images,
            source=source,
            shifted=settings.shifted,
            budget=_budget(settings, target, protocol),
            matching=matching,
            planned=len(sample),
            indices=indices,
            training=lessons(images, indices, fit, settings.seed) if learns(protocol) else nothing,
            goals=_goals(settings, images, indices, target.classes),
            chosen=settings.targets is not None,
            protocol=protocol,
            batch_size=batch_size,
            seed=settings.seed,
            command=settings.command,
        )

    def in_random_order(self) -> Plan:
        """The same plan with its images in the order that the seed decides.

        Whatever number of them an audit finishes is then a random sample of all.
        """
        order = random_order(len(self.indices), self.seed)
        return replace(self, indices=self.indices[order], goals=self.goals[order])

    def of_images(self, indices: np.ndarray) -> Plan:
        """The same plan for some of its images, int64 [m]."""
        sorter = np.argsort(self.indices)
        places = sorter[np.searchsorted(self.indices, indices, sorter=sorter)]
        return replace(self, indices=indices, goals=self.goals[places])

    @property
    def fit(self) -> Fit:
        """The size and channels that the model takes."""
        return Fit.of(self.target.model.manifest.input)

    @property
    def shard(self) -> Shard:
        """All images of the audit as one piece of work."""
        return Shard(
            indices=self.indices,
            goals=self.goals,
            protocol=self.protocol,
            seed=self.seed,
            batch_size=self.batch_size,
            patterns=self.target.patterns,
        )


def random_order(n: int, seed: int) -> np.ndarray:
    """The order in which an audit attacks the n images of its sample: their places, int64 [n]."""
    return np.random.default_rng([seed, 4]).permutation(n)


def first_of(sample: np.ndarray, finish: int | None, seed: int) -> np.ndarray:
    """The first `finish` images of a sample in its random order (None: all), sorted like the sample."""
    return sample if finish is None else np.sort(sample[random_order(len(sample), seed)[:finish]])


def protocol_of(settings: Settings, model: ExportedModel) -> Protocol:
    """The protocol, with what the other settings add to it.

    Raises:
        VivavoceError: they do not go together.
    """
    if settings.shifted is not None:
        return with_shift(settings.protocol, PROTOCOLS["natural"])
    protocol = settings.protocol or default(model.manifest)
    if SHIFTED in protocol.attacks:
        raise VivavoceError("the kind `shifted` needs a second set of images; give --shifted")
    return protocol


def _only_asked(fit: Fit) -> int:
    """Images at a time for a protocol without gradients."""
    return max(1, min(LARGEST, VALUES // (fit.height * fit.width * fit.channels)))


def source_of(model: ExportedModel, data: str | None) -> str:
    """The data set to audit on: the given one, else the one the model was trained on.

    Raises:
        VivavoceError: neither is known.
    """
    trained = model.manifest.training
    source = data or (trained.dataset if trained else None)
    if source is None:
        raise VivavoceError(f"{model.path.name} does not record its training data; give --data")
    return source


def _budget(settings: Settings, target: Target, protocol: Protocol) -> Budget | None:
    """The budget, if one is given.

    Raises:
        VivavoceError: the text is not a budget, or it counts gradients and no attack takes any.
    """
    budget = Budget.read(settings.budget) if settings.budget is not None else None
    if budget and budget.in_gradients and not any(ATTACKS[name].needs_gradient for name in protocol.attacks):
        why = target.gradient_missing or f"the attacks are {', '.join(protocol.attacks[:3])}"
        raise VivavoceError(
            f"--budget {budget.text} counts gradients, but no attack takes one ({why}); give a time"
        )
    return budget


def _goals(settings: Settings, images: ImageSet, indices: np.ndarray, classes: int) -> np.ndarray:
    if settings.targets is None:
        return target_classes(images.labels, classes, settings.seed)[indices]
    if isinstance(settings.targets, Path):
        return read_targets(settings.targets, images, indices)
    return np.array(settings.targets)
