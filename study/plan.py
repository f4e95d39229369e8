"""What a study is: a TOML file with a grid, what is the same for every cell, and budgets."""

from __future__ import annotations

import itertools
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..documents import convert, read_toml
from ..errors import VivavoceError
from ..text import suggestion
from .cell import ALL, Cell, Common, Voice

if TYPE_CHECKING:
    from ..train.adversarial import Adversarial

BUDGETS = ("paper", "short", "smoke")


class Grid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values that are combined; a cell is one combination. Slowest first."""

    dataset: tuple[str, ...]
    level: tuple[int, ...] = (100,)
    """Percentages of the training images; 100: all."""
    encoder: tuple[str, ...] = ("resnet8",)
    seed: tuple[int, ...] = (0,)
    label: tuple[str, ...] = ()
    """Label representations, or names of the plan's voices."""
    method: tuple[str, ...] = ()
    """Instead of labels: learned labels and what they are compared with, by their names in `methods`."""


class Plan(Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A study with its budget chosen: everything that decides its cells."""

    name: str
    title: str
    grid: Grid
    budget: str = "paper"
    figures: tuple[str, ...] = ()
    """What `study plot` can draw of it, best first."""
    reach: tuple[float, ...] = ()
    """Validation accuracies in 0..1; the table says after how many epochs each is reached."""
    voices: dict[str, Voice] = msgspec.field(default_factory=dict)
    """Voices that speak labels, by name."""

    def cells(self) -> list[Cell]:
        """Every cell, little data first, so that a study that is stopped early still compares labels."""
        grid = self.grid
        kinds = [(kind, None) for kind in grid.label] + [(None, method) for method in grid.method]
        combined = itertools.product(grid.dataset, sorted(grid.level), grid.encoder, grid.seed, kinds)
        common = {name: getattr(self, name) for name in Common.__struct_fields__}
        return [
            Cell(
                dataset=dataset,
                level=level,
                encoder=encoder,
                seed=seed,
                label=label,
                method=method,
                voice=self.voices.get(label or ""),
                **common,
            )
            for dataset, level, encoder, seed, (label, method) in combined
        ]


def shipped() -> list[str]:
    """Names of the studies that ship."""
    folder = resources.files("vivavoce.study").joinpath("plans")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def budgets(study: str) -> list[str]:
    """Names of the budgets of a study that ships."""
    return ["paper", *_load(study)["budget"]]


def read_plan(
    study: str,
    budget: str = "paper",
    grid: dict[str, list[str]] | None = None,
    changes: dict[str, Any] | None = None,
) -> Plan:
    """Read the study called `study`, or in the file `study`, with one of its budgets.

    Args:
        study: name of one that ships, or path of a `.toml` file.
        budget: a table `[budget.NAME]` of the file, whose keys replace those above; `paper`: none.
        grid: axes to replace.
        changes: fields of the recipe to change beside those of the file.

    Raises:
        VivavoceError: no such study or budget, or the file does not say a study.
    """
    told = _load(study)
    budgets = told.pop("budget", {})
    tables = {"budget": budgets, "grid": told.get("grid", {}), "set": told.get("set", {})}
    for name, value in (tables | (budgets if isinstance(budgets, dict) else {})).items():
        if not isinstance(value, dict):
            raise VivavoceError(f"study {study}: {name} must be a table, not {value!r}")
    if budget != "paper" and budget not in budgets:
        raise VivavoceError(f"{study} has no budget {budget!r}; it has {', '.join(('paper', *budgets))}")
    for key, value in budgets.get(budget, {}).items():
        told[key] = told.get(key, {}) | value if isinstance(value, dict) else value
    told["grid"] = told.get("grid", {}) | {axis: _values(axis, given) for axis, given in (grid or {}).items()}
    told["set"] = told.get("set", {}) | (changes or {})
    told = {"name": Path(study).stem, "title": Path(study).stem} | told | {"budget": budget}
    plan = convert(told, Plan, f"study {study}", strict=False)
    try:
        return _checked(plan)
    except VivavoceError as error:
        raise VivavoceError(f"study {study}: {error}") from error


def _load(study: str) -> dict[str, Any]:
    if study in shipped():
        return tomllib.loads(
            resources.files("vivavoce.study").joinpath("plans", f"{study}.toml").read_text("utf-8")
        )
    path = Path(study)
    if path.suffix != ".toml":
        instead = f"give one of {', '.join(shipped())}, or a .toml file"
        raise VivavoceError(f"no study {study!r}; {suggestion(str(study), shipped(), instead)}")
    return read_toml(path, "a study")


def _values(axis: str, given: list[str]) -> list[Any]:
    if axis not in Grid.__struct_fields__:
        raise VivavoceError(f"--grid {axis}: the axes are {', '.join(Grid.__struct_fields__)}")
    if axis not in ("level", "seed"):
        return given
    if wrong := [value for value in given if not value.isdecimal()]:
        raise VivavoceError(f"--grid {axis}: {wrong[0]!r} is not a whole number")
    return [int(value) for value in given]


def _checked(plan: Plan) -> Plan:
    """Refuse what could never be run, before anything is."""
    from ..audit.protocol import resolve as protocol
    from ..train.adversarial import make_adversarial
    from ..train.recipes import resolve as train_recipe

    _check_voices(plan)
    _check_grid(plan.grid, plan.voices)
    if wrong := [level for level in plan.reach if not 0 < level <= 1]:
        raise VivavoceError(f"reach {wrong[0]:g}: give accuracies above 0 and up to 1, such as 0.9")
    if plan.adversarial:
        _check_adversarial(plan, make_adversarial(**plan.adversarial.choices))
    for encoder in plan.grid.encoder:
        train_recipe(plan.recipe, True, encoder, plan.set)
    for audit in plan.audit:
        protocol(audit.protocol, audit.attack, audit.epsilon)
    if len({audit.report for audit in plan.audit}) < len(plan.audit):
        raise VivavoceError("two audits have the same name; give one a `name`")
    return plan


def _check_adversarial(plan: Plan, adversarial: Adversarial | None) -> None:
    from ..train.labels.kinds import KINDS

    if plan.grid.method:
        raise VivavoceError("adversarial training is for labels; take `method` out of the grid")
    if adversarial and adversarial.loss == "smooth-l1":
        for label in (label for label in plan.grid.label if label in KINDS and not KINDS[label].module):
            raise VivavoceError(
                f"adversarial loss smooth-l1 needs a label bank, which {label} lacks; take {label} out of "
                "the grid, or give the loss scores"
            )


def _check_voices(plan: Plan) -> None:
    from ..train.labels.engines import ENGINES
    from ..train.labels.kinds import KINDS

    for name, voice in plan.voices.items():
        if name in KINDS:
            raise VivavoceError(f"voice {name}: this is the name of a label kind; choose a different name")
        if voice.engine not in ENGINES:
            near = suggestion(voice.engine, ENGINES)
            raise VivavoceError(f"voice {name}: no speech engine {voice.engine!r}; {near}")


def _check_grid(grid: Grid, voices: dict[str, Voice]) -> None:
    from ..train.labels.kinds import KINDS
    from .methods import BASELINE, METHODS

    for axis, given, known in (("label", grid.label, {**KINDS, **voices}), ("method", grid.method, METHODS)):
        if unknown := [value for value in given if value not in known]:
            raise VivavoceError(f"no {axis} {unknown[0]!r}; {suggestion(unknown[0], known)}")
    if not (grid.label or grid.method):
        raise VivavoceError("its grid has neither labels nor methods")
    if grid.method and BASELINE not in grid.method:
        raise VivavoceError(f"the methods must have {BASELINE} among them: time saved is against it")
    for axis in Grid.__struct_fields__:
        if not getattr(grid, axis) and axis not in ("label", "method"):
            raise VivavoceError(f"its grid has no {axis}")
        if len(set(getattr(grid, axis))) < len(getattr(grid, axis)):
            raise VivavoceError(f"its grid has a {axis} twice")
    if wrong := [level for level in grid.level if level != ALL and not 1 <= level <= 90]:
        raise VivavoceError(f"level {wrong[0]}: give percentages from 1 to 90, or 100 for all data")
