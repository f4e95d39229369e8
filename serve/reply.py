"""An answer as a line, as JSON and as a row of CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..artifacts import ExportedModel
from ..text import cell
from .answers import Answer

COLUMNS = (
    "file",
    "class",
    "index",
    "spoken",
    "score",
    "distance",
    "loss",
    "threshold",
    "sure",
    "wav",
    "error",
)


def record(name: str, answer: Answer, model: ExportedModel, top: int, wav: Path | None) -> dict[str, Any]:
    """What a program wants to know of one answer; `top` best classes with their scores come last."""
    found: dict[str, Any] = {
        "file": name,
        "class": answer.name,
        "index": answer.index,
        "spoken": answer.spoken,
        "score": round(answer.score, 4),
    }
    if answer.loss is not None and answer.distance is not None:
        found |= {
            "distance": round(answer.distance, 3),
            "loss": round(answer.loss, 4),
            "threshold": model.manifest.decoding.threshold,
            "sure": answer.sure,
        }
        metric = model.manifest.label and model.manifest.label.metric
        found |= {"metric": metric} if metric else {}
    if wav is not None:
        found["wav"] = str(wav)
    if top:
        found["top"] = [{"class": c, "score": round(score, 4)} for c, score in best(answer, model, top)]
    return found


def best(answer: Answer, model: ExportedModel, top: int) -> list[tuple[str, float]]:
    """The `top` classes with the largest scores, best first."""
    order = (-answer.scores).argsort(kind="stable")[:top]
    return [(model.manifest.classes[k], float(answer.scores[k])) for k in order]


def describe(name: str, answer: Answer, model: ExportedModel, top: int = 0) -> str:
    """One line: class, word, score, and for label models distance and whether it is sure."""
    word = f' "{answer.spoken}"' if answer.spoken and answer.spoken != answer.name else ""
    line = f"{name}: {answer.name}{word}, score {answer.score:.2f}"
    if answer.loss is not None and answer.distance is not None:
        line += f", {nearness(answer, model)}"
    if top:
        line += "; " + ", ".join(f"{c} {score:.2f}" for c, score in best(answer, model, top))
    return line


def nearness(answer: Answer, model: ExportedModel) -> str:
    """How near the prediction is to the label of its class, and whether that is near enough, in words."""
    label, threshold = model.manifest.label, model.manifest.decoding.threshold
    assert label is not None
    assert answer.loss is not None
    squared = f"distance {answer.distance:.1f}, " if label.metric is None else ""
    measure = label.measure
    return squared + (
        measure.text(answer.loss) if threshold is None else measure.compared(answer.loss, threshold)
    )


def row(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same as one row of CSV: the best classes as `class=score` joined by spaces."""
    flat = {name: "" if found.get(name) is None else cell(found[name]) for name in COLUMNS}
    top = " ".join(f"{entry['class']}={entry['score']}" for entry in found.get("top", ()))
    return flat | {"top": cell(top)}
