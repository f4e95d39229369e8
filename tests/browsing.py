"""A browser for tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).parents[1]
FLAGS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=document-user-activation-required",
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; skips the test where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium here (apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def npm_package(name: str) -> Path:
    """A package that the Makefile fetches from npm; skips the test where that is not to be had."""

    def found() -> list[Path]:
        return sorted((ROOT / "build").glob(f"{name}-*.tgz"))

    if not found():
        if shutil.which("npm") is None:
            pytest.skip(f"{name} comes from npm, which is not here (apt install npm)")
        subprocess.run(["make", "-s", "browser-parts"], cwd=ROOT, check=True)
    return found()[-1]


def axe_source() -> str:
    """axe-core, the accessibility checker, as a script."""
    with tarfile.open(npm_package("axe-core")) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file
        return file.read().decode()


@dataclass
class Visit:
    """A page that is being looked at, and what it complained about or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def show(self, path: Path) -> None:
        """Choose a file, as the button does."""
        self.page.set_input_files("#file", path)

    def answer(self) -> str:
        """The word that it says, once it is there."""
        self.page.wait_for_selector("#details:not([hidden])")
        self.page.wait_for_selector('#answer[aria-busy="false"]')
        return self.page.inner_text("#word").strip("“”")

    def sound(self) -> dict[str, Any]:
        """The audio element, once it knows its sound."""
        script = """async () => {
            const sound = document.getElementById("sound");
            for (let k = 0; k < 100 && !(sound.readyState > 0 || sound.error); k++)
                await new Promise((done) => setTimeout(done, 50));
            return { source: sound.src, seconds: sound.duration, error: sound.error?.message ?? null };
        }"""
        return self.page.evaluate(script)

    def played(self) -> bool:
        """Whether the sound is played to its end within five seconds."""
        script = """async () => {
            const sound = document.getElementById("sound");
            for (let k = 0; k < 100 && !sound.ended; k++) await new Promise((done) => setTimeout(done, 50));
            return sound.ended;
        }"""
        return self.page.evaluate(script)

    def violations(self, axe: str) -> list[str]:
        """What axe-core finds wrong, every rule that it has for WCAG 2.2 AA and good practice."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(axe)
        found = self.page.evaluate("async () => (await axe.run(document)).violations")
        return [f"{v['id']}: {[node['html'] for node in v['nodes']]}" for v in found]


@contextlib.contextmanager
def visit(browser: Browser, url: str, **options: Any) -> Iterator[Visit]:
    """Open a page in a fresh context; in the end nothing may have been complained about."""
    settings: Any = {"viewport": {"width": 1280, "height": 900}} | options

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            seen.complaints.append(message.text)

    with contextlib.closing(browser.new_context(**settings)) as context:
        seen = Visit(context.new_page())
        seen.page.set_default_timeout(20_000)
        seen.page.on("console", note)
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        # Asked for before it is needed: a chooser that opens meanwhile would be the system's own.
        seen.page.on("filechooser", lambda _: None)
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.goto(url)
        yield seen
        assert not seen.complaints
