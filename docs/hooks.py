"""Adds pages outside docs/ to the site, with their links, and the reports of the shipped models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files  # pyright: ignore[reportMissingImports]

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "artifacts/models/README.md": "models.md",
}
"""Pages by their path in the repository, and their names in the site."""
REPORTS = sorted((ROOT / "artifacts/models").glob("*.json"))
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s:]+)((?:#[^)]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages to the site."""
    for path, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text(encoding="utf-8")))
    for name, content in _gallery():
        files.append(File.generated(config, name, content=content))
    return files


def _gallery() -> Iterator[tuple[str, str]]:
    """The page that lists the reports, and each report as a page of its own."""
    from vivavoce.audit import load_report
    from vivavoce.audit.writing.headline import plainly
    from vivavoce.audit.writing.html import page

    lines = [
        "# Gallery",
        "",
        "Reports of the [shipped models](models.md), as `audit show REPORT.json -o report.html` writes them.",
        "",
    ]
    for path in REPORTS:
        report = load_report(path)
        name = f"reports/{path.stem}.html"
        model = report.model.file.rsplit(".", 1)[0]
        lines += [f"## [{model}, protocol {report.protocol.name}]({name})", "", plainly(report), ""]
        yield name, page(report)
    yield "gallery.md", "\n".join(lines)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links to files of the repository at the site's pages; of other files only the name stays."""
    sources = {name: path for path, name in PAGES.items()}
    folder = (ROOT / sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")).parent

    def moved(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        inside = target.relative_to(ROOT).as_posix() if target.is_relative_to(ROOT) else found[2]
        if inside in PAGES:
            return found[1] + PAGES[inside] + found[3]
        if inside.startswith("docs/"):
            return found[1] + inside.removeprefix("docs/") + found[3]
        return found[0] if not target.exists() else f"`{inside}`"

    return LINK.sub(moved, markdown)
