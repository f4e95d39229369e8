"""A run's folder: its configuration, its checkpoint, its result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..artifacts import LabelBank
from ..documents import parse_json, read_json
from ..errors import VivavoceError, naming
from ..files import replacing, write_whole
from ..notices import say_once
from .adversarial import Adversarial
from .learned.settings import ObjectiveSettings
from .model import Classifier
from .recipes import Recipe

CONFIG, RECIPE, BANK, NAMES = "run.json", "recipe.json", "bank.npz", "names.npz"
CHECKPOINT, RESULT = "checkpoint.safetensors", "model.safetensors"
HEAD = "head."
"""What the names of the head's weights begin with."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that decides a run's outcome."""

    dataset: str
    source: str
    """The data set as it was given: its name, or the path of its folder."""
    label: str
    encoder: str
    seed: int
    recipe: Recipe
    classes: tuple[str, ...]
    spoken: tuple[str, ...]
    split: str
    size: tuple[int, int]
    """Height and width of the images."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bank_digest: str | None = None
    data_level: int | None = None
    """Percentage of the training images that is trained on; None: all."""
    weights: str | None = None
    """What the network started from: `imagenet`, a file of weights, or the folder of a run."""
    objective: ObjectiveSettings | None = msgspec.field(default=None, name="aim")
    """A learned objective, `aim` in the file; None: what the label and recipe ask for."""
    adversarial: Adversarial | None = None
    """Train on adversarial images; None: on the images."""
    versions: dict[str, str] = {}

    def model(self, bank: LabelBank | None) -> Classifier:
        """Build the untrained network."""
        shape = bank.labels.shape[1:] if bank else None
        scaled = bank if self.recipe.label_scaling else None
        return Classifier(self.encoder, len(self.classes), shape, self.mean, self.std, scaled)


def begin(
    folder: Path, config: Config, bank: LabelBank | None, resume: bool, names: LabelBank | None = None
) -> None:
    """Make the run's folder, or check that the one there is the same run.

    Raises:
        VivavoceError: the folder holds a run and `resume` is off, holds none and it is on, or was
            started with other settings.
    """
    path = folder / CONFIG
    if path.exists() and not resume:
        raise VivavoceError(
            f"{folder} already contains a run; add --resume to continue it, or choose a different --out"
        )
    if not path.exists():
        if resume:
            raise VivavoceError(f"{folder} holds no run to resume")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if bank:
                bank.save(folder / BANK)
            if names:
                names.save(folder / NAMES)
        except OSError as error:
            raise VivavoceError(f"--out {folder}: cannot store a run here ({error.strerror})") from error
        write_whole(folder / RECIPE, msgspec.json.format(msgspec.json.encode(config.recipe), indent=2))
        write_whole(path, msgspec.json.format(msgspec.json.encode(config), indent=2))
        return
    for what, before, now in _changes(read_config(folder), config):
        raise VivavoceError(
            f"{folder} was started with a different {what} ({before}, now {now}); resume with the same "
            "settings, or start over with a different --out"
        )


def _changes(before: Config, now: Config) -> Iterator[tuple[str, object, object]]:
    """What differs between two configurations, the recipe's fields one by one."""
    flat = [
        {f: v for f, v in msgspec.structs.asdict(c).items() if f not in ("recipe", "versions")}
        | {f"recipe: {f}": v for f, v in msgspec.structs.asdict(c.recipe).items()}
        for c in (before, now)
    ]
    for name, value in flat[0].items():
        if flat[1][name] != value:
            yield name, value, flat[1][name]


def read_config(folder: Path) -> Config:
    """Read the configuration of the run in `folder`.

    Raises:
        VivavoceError: there is no run, or its configuration cannot be read.
    """
    if not (folder / CONFIG).exists():
        raise VivavoceError(f"{folder}: no training run here (no {CONFIG})")
    return read_json(folder / CONFIG, Config, "the configuration of a run")


def read_bank(folder: Path, file: str = BANK) -> LabelBank | None:
    """The label bank of the run in `folder`, or the one it was given; None without a bank."""
    path = folder / file
    return LabelBank.load(path) if path.exists() else None


def load_trained(folder: Path) -> tuple[Config, LabelBank | None, Classifier, dict[str, Any]]:
    """The finished run in `folder`: configuration, bank, network in evaluation mode, result.

    Raises:
        VivavoceError: the run is not finished.
    """
    config, bank = read_config(folder), read_bank(folder)
    if not (folder / RESULT).exists():
        raise VivavoceError(f"{folder}: this run has not finished; go on with `vivavoce train … --resume`")
    tensors, result = read_tensors(folder / RESULT)
    with naming(folder / CONFIG):
        model = config.model(bank)
    _fill(model, tensors, folder / RESULT)
    return config, bank, model.eval(), result


def start_from(model: Classifier, folder: Path) -> None:
    """Give a network the weights of a finished run; a head for labels of another shape stays as it is.

    Raises:
        VivavoceError: the run is not finished, or its network is a different one.
    """
    path = folder / RESULT
    if not path.exists():
        raise VivavoceError(f"--weights {folder}: not a finished run: there is no {RESULT} in it")
    tensors, new = read_tensors(path)[0], model.head.state_dict(prefix=HEAD)
    shapes = {name: t.shape for name, t in tensors.items() if name.startswith(HEAD)}
    if shapes != {name: t.shape for name, t in new.items()}:
        say_once(f"{folder}: its labels have another shape, so only its encoder is used; the head is new")
        tensors = {name: t for name, t in tensors.items() if name not in shapes} | new
    _fill(model, tensors, path)


def _fill(model: Classifier, tensors: dict[str, Tensor], path: Path) -> None:
    """Give a network its weights.

    Raises:
        VivavoceError: some are missing, or have other shapes.
    """
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise VivavoceError(
            f"{path}: not the weights of this network ({' '.join(lines[1:2] or lines).strip()[:300]})"
        ) from error


def snapshot(folder: Path, epoch: int) -> Path:
    """The file with the weights of the run in `folder` after an epoch, where they were kept."""
    return folder / "snapshots" / f"epoch-{epoch}.safetensors"


def load_snapshot(folder: Path, epoch: int) -> Classifier:
    """The network in `folder` as it was after an epoch, in evaluation mode.

    Raises:
        VivavoceError: it was not kept.
    """
    path = snapshot(folder, epoch)
    if not path.exists():
        raise VivavoceError(f"{folder}: the weights after epoch {epoch} were not kept")
    model = read_config(folder).model(read_bank(folder))
    _fill(model, read_tensors(path)[0], path)
    return model.eval()


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors and JSON to one safetensors file, so that either the old or the new is whole."""
    whole = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    try:
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as fresh:
            save_file(whole, fresh, metadata={"about": json.dumps(about)})
    except (OSError, SafetensorError, VivavoceError) as error:
        kept = f"; the {path.name} written before is whole" if path.exists() else ""
        raise VivavoceError(f"{path}: could not be written ({error}){kept}") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = file.metadata()["about"]
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise VivavoceError(f"{path}: not a checkpoint ({error})") from error
    return tensors, parse_json(about, dict[str, Any], str(path), "a checkpoint")


def pick_device(name: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device.

    Raises:
        VivavoceError: CUDA is asked for and not there, or the name is unknown.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise VivavoceError(f"no device {name!r}; give auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise VivavoceError("no CUDA device that torch can use is here; give --device cpu")
    return torch.device(name)


def settle_precision(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with `auto` precision made definite: bfloat16 where the device multiplies in it."""
    if recipe.precision != "auto":
        return recipe
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = torch.cpu._is_avx512_bf16_supported()  # torch has no public way to ask
    return msgspec.structs.replace(recipe, precision="bfloat16" if able else "float32")
