"""The report as one self-contained page: verdict first, then curves, table, diagnosis, images and sounds."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import zip_longest
from typing import Any

import numpy as np
from PIL import Image

from ...sound.playback import wav
from ..natural.heat import shift_lists
from ..protocol import Protocol, severities_of
from ..report import Report
from ..run import Audit
from ..sensitivity import remarks
from .charts import bars, curves
from .examples import Answered, AnsweredExample, answered
from .headline import plainly, tone
from .heat import only_shift, page_cells, severities
from .looks import looks
from .table import cell, columns, epsilon_cells, epsilon_titles, heading, legend, titles

SIDE = 128
"""Side of a picture on the page, pixels."""


def page(report: Report, audits: Sequence[Audit] = ()) -> str:
    """Render the page; it loads nothing from other hosts.

    Args:
        report: what was found, under each protocol.
        audits: the data behind the pictures of images, for each protocol; empty: the page has none.
    """
    import jinja2

    source = resources.files("vivavoce.audit.writing").joinpath("page.html.jinja").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    parts = [_part(part, audit) for part, audit in zip_longest(report.parts, audits[: len(report.parts)])]
    return environment.from_string(source).render(report=report, parts=parts)


def _part(report: Report, audit: Audit | None) -> dict[str, Any]:
    """What the page shows of one protocol."""
    natural = report.protocol.natural
    return {
        "report": report,
        "heading": heading(report),
        "tone": tone(report),
        "plainly": plainly(report),
        "bars": bars(report),
        "curves": curves(report),
        "columns": [] if natural else [*epsilon_titles(report), *titles(report)],
        "rows": [] if natural else list(_rows(report)),
        "natural": natural,
        "heat": page_cells(report) if natural and not only_shift(report) else [],
        "severities": severities(report) if natural else [],
        "legend": legend(report),
        "remarks": remarks(report),
        "shifts": list(shift_lists(report)),
        "examples": None if audit is None else _examples(audit),
    }


def _rows(report: Report) -> Iterator[list[str]]:
    """The cells of the table, by epsilon."""
    by_attack = columns(report)
    for epsilon in report.protocol.epsilons:
        yield [*epsilon_cells(report, epsilon), *(cell(line[epsilon]) for line in by_attack.values())]


def _examples(audit: Audit) -> list[dict[str, Any]]:
    """The examples for the page, each with what the model looked at before and after."""
    examples = list(answered(audit))
    method, covered = looks(audit.model, [side for e in examples for side in (e.clean, e.adversarial)])
    pictures = [_picture(image) for image in covered]
    shown = [_shown(example, audit.report.protocol) for example in examples]
    for k, example in enumerate(shown):
        pair = pictures[2 * k : 2 * k + 2]
        for side, look in zip(example["sides"], pair or [None, None], strict=True):
            side["look"], side["method"] = look, method
    return shown


def _shown(example: AnsweredExample, protocol: Protocol) -> dict[str, Any]:
    """An example with its pictures and sounds as data addresses."""
    changed = "changed" if protocol.natural else "adversarial"
    difference = example.adversarial.image - example.clean.image
    amplified = 0.5 + difference / max(2 * float(np.abs(difference).max()), 1e-9)
    return {
        "name": example.name,
        "truth": example.truth,
        "change": example.attack
        if severities_of(example.attack) == (1,)
        else f"{example.attack}, {protocol.in_words(example.epsilon)}",
        "difference": _picture(amplified),
        "size": f"{np.abs(difference).max() * 255:.1f}",
        "sides": [_side("original", example.clean), _side(changed, example.adversarial)],
    }


def _side(name: str, answer: Answered) -> dict[str, Any]:
    return {
        "name": name,
        "answer": answer.name,
        "note": answer.note,
        "picture": _picture(answer.image),
        "label": None
        if answer.label is None or answer.label.ndim != 2
        else _picture(_scaled(answer.label)[None, ::-1]),
        "sound": None if answer.sound is None else _sound(answer.sound, answer.rate),
    }


def _scaled(label: np.ndarray) -> np.ndarray:
    low, high = float(label.min()), float(label.max())
    return (label - low) / max(high - low, 1e-9)


def _picture(image: np.ndarray) -> str:
    """float [C, H, W] in 0..1 as a PNG data address, enlarged without smoothing."""
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    picture = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    scale = max(1, round(SIDE / max(picture.size)))
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    data = io.BytesIO()
    picture.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def _sound(samples: np.ndarray, rate: int) -> str:
    return "data:audio/wav;base64," + base64.b64encode(wav(samples, rate)).decode()
