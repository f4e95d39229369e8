"""Puts the pages that live outside docs/ into the site, with their links."""

from __future__ import annotations

import re
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
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s:]+)((?:#[^)]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages to the site."""
    for path, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


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
