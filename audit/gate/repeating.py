"""Repeats the audit of an earlier report on a new model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from ...artifacts import ExportedModel, Preprocessing, find_model, open_model
from ...artifacts.model import has_manifest
from ...errors import VivavoceError
from ...images import Fit, match, open_images, paired
from ..digests import image_digests, joint_digest
from ..evaluate import Enough
from ..plan import Settings, first_of, source_of
from ..report import Report
from ..run import Audit, Progress, robustness
from ..several import whole
from .matching import names_of
from .pairing import class_differences


class OtherData(VivavoceError):
    """The data are not those of the earlier report."""


def open_like(
    model: str | Path,
    earlier: Report,
    preprocessing: Preprocessing | None = None,
    device: str = "cpu",
    trust: bool = False,
) -> ExportedModel:
    """Open a model that is to be compared with an earlier one.

    A file without a manifest, preprocessing options or a `<model>.toml` gets the preprocessing of the earlier
    model.

    Raises:
        VivavoceError: as `open_model`.
    """
    told = preprocessing is not None and preprocessing != Preprocessing()
    path = find_model(model)
    silent = path.is_file() and not path.with_suffix(".toml").exists()
    if not told and silent and earlier.model.preprocessing and not has_manifest(path):
        preprocessing = earlier.model.preprocessing
    return open_model(model, preprocessing, device, trust)


def audit_again(
    model: ExportedModel,
    earlier: Report,
    data: str | None = None,
    folder: Path | None = None,
    progress: Progress = lambda *_: None,
    command: str = "",
    other_data: bool = False,
    shifted: str | None = None,
    endings: Sequence[Enough] = (),
) -> Audit:
    """Audit a model under the protocols of an earlier report, in the same boxes, on the same images.

    Args:
        model: the new one.
        earlier: gives the protocols, seed, limit and targets.
        data: as for `check`.
        folder: where else to look for the report's data set.
        progress: as for `robustness`.
        command: the command line, for the new report.
        other_data: accept different images; the outcomes then cannot be paired.
        shifted: as for `check`.
        endings: what ends the attacks of each protocol early; empty: attack all images.

    Raises:
        OtherData: the images are not the earlier ones.
        VivavoceError: model and report do not fit.
    """
    names_of(earlier)  # refuses a damaged report before the work
    _name_classes(model, earlier.model.manifest.classes)
    for difference in class_differences(earlier.model.manifest.classes, model.manifest.classes):
        raise VivavoceError(
            f"{model.path.name} does not have the classes of the baseline's model: {difference}"
        )
    wanted = [settings_of(part, data, folder, shifted) for part in earlier.parts]
    wanted = [_in_the_box_of(part, model, s) for part, s in zip(earlier.parts, wanted, strict=True)]
    if not other_data:
        for part, settings in zip(earlier.parts, wanted, strict=True):
            _refuse_other_data(model, part, settings)
    audits = [
        robustness(model, replace(settings, command=command), progress, enough)
        for settings, enough in zip(wanted, endings or [None] * len(wanted), strict=True)
    ]
    return whole(audits)


def _in_the_box_of(earlier: Report, model: ExportedModel, settings: Settings) -> Settings:
    """The settings with which a model is attacked in the pixels of an earlier report's box.

    Raises:
        VivavoceError: it takes a different number of channels.
    """
    old, new = earlier.model.manifest.input, model.manifest.input
    std = earlier.protocol.std or old.std
    if earlier.protocol.epsilon_space != "normalized" or std == new.std:
        return settings
    if old.channels != new.channels:
        raise VivavoceError(
            f"{model.path.name} takes {new.channels} channels and the baseline's model {old.channels}: "
            "they cannot be attacked in the same box"
        )
    return replace(settings, protocol=msgspec.structs.replace(earlier.protocol, std=std, settled=True))


def _name_classes(model: ExportedModel, names: tuple[str, ...]) -> None:
    """A model that does not name its classes has those of the earlier one, in its order."""
    if not model.named and len(model.manifest.classes) == len(names):
        model.manifest = msgspec.structs.replace(model.manifest, classes=names)
        model.named = names != tuple(str(k) for k in range(len(names)))


def settings_of(
    report: Report, data: str | None = None, folder: Path | None = None, shifted: str | None = None
) -> Settings:
    """The settings that led to a report.

    Raises:
        VivavoceError: it does not record where its shifted images are.
    """
    if report.data.shifted is not None:
        shifted = shifted or _found(report.data.shifted.source, folder)
        if shifted is None:
            name = report.data.shifted.name
            raise VivavoceError(
                f"the baseline does not record where its shifted data {name!r} are; give --shifted"
            )
    elif shifted is not None:
        raise VivavoceError("the baseline compares no shifted images; leave out --shifted")
    targets = tuple(image.target for image in report.images if image.target is not None)
    planned = report.data.planned or report.data.n
    return Settings(
        protocol=msgspec.structs.replace(report.protocol, settled=True),
        data=data or _found(report.data.source, folder),
        shifted=shifted,
        limit=0 if planned == report.data.total else planned,
        finish=None if report.data.planned is None else report.data.n,
        seed=report.environment.seed,
        targets=targets or None,
    )


def _found(source: str | None, folder: Path | None) -> str | None:
    """The data set that a report names, looked for here and beside the report."""
    if source is None or folder is None or Path(source).exists():
        return source
    return str(folder / source) if (folder / source).exists() else source


def _refuse_other_data(model: ExportedModel, earlier: Report, settings: Settings) -> None:
    """Compare the digests of the images before any attack."""
    if settings.data is None and earlier.data.source is None and not model.manifest.training:
        raise VivavoceError(
            f"the baseline does not record where its data {earlier.data.name!r} are; give --data"
        )
    opened = open_images(source_of(model, settings.data))
    if settings.shifted is not None:
        opened = paired(opened, open_images(settings.shifted))
    images, _ = match(opened, model.manifest.classes, model.named)
    indices = first_of(images.sample(settings.limit, settings.seed), settings.finish, settings.seed)
    old = earlier.data
    if len(images) != old.total or len(indices) != old.n:
        raise OtherData(f"{images.name}: {len(images)} images, but the baseline's data had {old.total}")
    then, now = (Fit.of(m.input) for m in (earlier.model.manifest, model.manifest))
    if then != now:
        raise OtherData(
            f"{model.path.name} takes a different input from the baseline's model "
            f"({_words(now)}; {_words(then)})"
        )
    if joint_digest(image_digests(images, indices, now)) != old.digest:
        raise OtherData(f"{images.name}: the images or labels differ from the baseline's")
    pair = images.shifted
    if pair and old.shifted and joint_digest(image_digests(pair, indices, now)) != old.shifted.digest:
        raise OtherData(f"{pair.name}: the shifted images differ from the baseline's")


def _words(fit: Fit) -> str:
    cropped = f", shorter side to {fit.resize}" if fit.resize else ", centre crop"
    resized = "" if fit.resize is None else cropped
    return f"{fit.channels} x {fit.height} x {fit.width}{resized}, {fit.interpolation}"
