"""Rich that takes text for text: names from outside are shown as they are, and nothing in them acts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from .text import duration, plain


class PlainConsole(Console):
    """A console without markup, emoji codes and highlighting, whose lines and cells go through `plain`.

    One string is one line; a `Text` is printed as it is, so names in it go through `plain` first.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a `Text` of a string that is printed, or that is a cell, heading or title of a table."""
        return super().render_str(plain(text), **options)


class PlainColumn(ProgressColumn):
    """A column of a progress bar: a task's field, or its description."""

    def __init__(self, field: str | None = None) -> None:
        super().__init__()
        self._field = field

    def render(self, task: Task) -> Text:
        """Show the field."""
        shown = task.description if self._field is None else str(task.fields[self._field])
        return Text(plain(shown), no_wrap=True)


class TimeLeft(TimeRemainingColumn):
    """The time left until the task's field `end`, a `time.monotonic()`; by default Rich's estimate."""

    def render(self, task: Task) -> Text:
        """Show it; `end` is None until it is known."""
        if "end" not in task.fields:
            return super().render(task)
        end = task.fields["end"]
        if end is None:
            return Text("time left not yet known", style="progress.remaining", no_wrap=True)
        return Text(
            f"about {duration(end - time.monotonic())} left", style="progress.remaining", no_wrap=True
        )


class Bar(Progress):
    """A progress bar with lines below it."""

    below: Sequence[str] = ()
    """Each is cut at the width of the terminal."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, and the lines."""
        yield from super().get_renderables()
        for line in self.below:
            yield Text(plain(line), style="dim", no_wrap=True, overflow="ellipsis")
