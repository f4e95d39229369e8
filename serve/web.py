"""One HTML file that needs no server: the page, onnxruntime-web and a model."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
import shutil
import subprocess
import tarfile
import zlib
from importlib import resources
from importlib.metadata import distribution
from pathlib import Path

from platformdirs import user_cache_path

from ..errors import VivavoceError
from ..files import make_folder
from ..text import plain

IMPORT = re.compile(r'^import \{ (.+?) \} from "\./(.+?)";\n', re.M)
EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.M)

FOOTER = """<footer id="footer">
<p>Your image stays in this page; nothing is sent. It works without a network.</p>
<details><summary>What is inside, and its licences</summary><pre tabindex="0">{notices}</pre></details>
</footer>"""

POLICY = (
    "default-src 'none'; script-src {scripts} blob: 'wasm-unsafe-eval'; style-src {style}; "
    "img-src blob: data:; media-src blob:; base-uri 'none'; form-action 'none'"
)
"""Nothing may be fetched from anywhere: the browser sees to it."""

RUNTIME = "onnxruntime-web-1.30.0"
"""The npm package that runs the model in the browser."""


def fetch_runtime() -> Path:
    """The package onnxruntime-web from the user's cache; npm gets it there the first time.

    Raises:
        VivavoceError: npm is not installed, or cannot get it.
    """
    folder = user_cache_path("vivavoce")
    package = folder / f"{RUNTIME}.tgz"
    if package.is_file():
        return package
    name, _, version = RUNTIME.rpartition("-")
    npm = shutil.which("npm")
    way = f"save it with `npm pack {name}@{version}` and pass it with --runtime"
    if npm is None:
        raise VivavoceError(f"the page needs {name} from npm, which is not installed; install npm, or {way}")
    make_folder(folder)
    command = [npm, "pack", "--silent", f"{name}@{version}", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not package.is_file():
        reason = plain((done.stderr.strip().splitlines() or ["no reason given"])[-1])
        raise VivavoceError(f"npm cannot get {name} {version} ({reason}); {way}")
    return package


def build(runtime: Path, model: str, source: str | None = None) -> str:
    """The HTML file's content.

    Args:
        runtime: the npm package onnxruntime-web.
        model: a file, or a shipped model by name.
        source: of the images that the page offers to try; see `examples`.

    Raises:
        VivavoceError: the package or the model is not one.
    """
    manifest, content = _model(model, source)
    parts = _package(runtime)
    style, script = page_file("style.css"), bundle("offline.js")
    inline = [parts["ort.wasm.min.js"].decode(), script]
    policy = POLICY.format(scripts=" ".join(map(_digest, inline)), style=_digest(style))
    data = [
        ("ort-glue", "text/plain", parts["ort-wasm-simd-threaded.mjs"].decode()),
        ("ort-wasm", "application/octet-stream", _packed(parts["ort-wasm-simd-threaded.wasm"])),
        ("model", "application/octet-stream", _packed(content)),
        ("manifest", "application/json", manifest.replace("<", "\\u003c")),
    ]
    tags = [f'<script type="{kind}" id="{name}">{text}</script>' for name, kind, text in data]
    tags += [f"<script>{text}</script>" for text in inline]
    if any("</script" in text for text in [*inline, *(text for _, _, text in data)]):
        raise VivavoceError(f"{runtime}: cannot be put into a page")  # as text it would end the page's script
    page = page_file("index.html")
    page = _swap(page, "<meta charset", f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n')
    page = _replace(page, '<link rel="stylesheet" href="page/style.css">', f"<style>{style}</style>")
    footer = FOOTER.format(notices=html.escape(_notices(model)))
    page = _replace(page, re.search(r"<footer.*?</footer>", page, re.S)[0], footer)  # type: ignore[index]
    return _replace(page, '<script type="module" src="page/online.js"></script>', "\n".join(tags))


def bundle(entry: str) -> str:
    """The page's modules from one of them on, as one classic script: browsers load no modules from a file.

    Each module becomes a function that returns what it exports.
    """
    done: dict[str, str] = {}

    def visit(name: str) -> None:
        source = page_file(name)
        for _, other in IMPORT.findall(source):
            if other not in done:
                visit(other)
        body = IMPORT.sub(r'const { \1 } = rooms["\2"];\n', source)
        names = ", ".join(name for _, name in EXPORT.findall(source))
        body = EXPORT.sub(r"\1 \2", body)
        done[name] = f'rooms["{name}"] = (() => {{\n{body}\nreturn {{ {names} }};\n}})();\n'

    visit(entry)
    return f'"use strict";\n(() => {{\nconst rooms = {{}};\n{"".join(done.values())}}})();\n'


def page_file(name: str) -> str:
    """The text of one of the page's files."""
    return resources.files("vivavoce.serve").joinpath("page", name).read_text(encoding="utf-8")


def _model(model: str, source: str | None) -> tuple[str, bytes]:
    """What the page has to know of a model, as JSON, and its file."""
    from ..artifacts import open_model
    from .examples import examples
    from .page_voice import MOST_SOUNDS, sounds_of_names, speaking_file
    from .server.limits import Limits
    from .server.replies import describe

    opened = open_model(model)
    if opened.path.suffix != ".onnx" or not opened.named:
        raise VivavoceError(f"{opened.path}: give an .onnx file made by `vivavoce export`")
    about = describe(opened, Limits(), examples(opened, source)).model_dump()
    if named := sounds_of_names(opened):
        about |= {"speaks": True, "spoken": named[0], "sounds": named[1]}
    elif about["speaks"] and not (opened.manifest.label and opened.manifest.label.mel):
        silence = (
            f"A page holds the sounds of up to {MOST_SOUNDS} class names; vivavoce serve says all of them."
        )
        about |= {"speaks": False, "silence": silence}
    return json.dumps(about), speaking_file(opened)


def _package(runtime: Path) -> dict[str, bytes]:
    """The files of onnxruntime-web that a page needs."""
    names = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
    wanted, found = {f"package/dist/{name}": name for name in names}, dict[str, bytes]()
    try:
        with tarfile.open(runtime) as archive:
            for member in archive:  # in the archive's own order: each step back decompresses it again
                if member.name in wanted and (file := archive.extractfile(member)):
                    found[wanted[member.name]] = file.read()
                if len(found) == len(names):
                    return found
    except (OSError, EOFError, zlib.error, KeyError, tarfile.TarError) as error:
        raise VivavoceError(f"{runtime}: not the npm package onnxruntime-web ({error})") from error
    missing = next(name for name in names if name not in found)
    raise VivavoceError(f"{runtime}: not the npm package onnxruntime-web (it has no {missing})")


def _notices(model: str) -> str:
    """Whose work is in the file. The two builds of onnxruntime are of the same sources and licence."""
    theirs = {path.name: path for path in distribution("onnxruntime").files or ()}
    texts = [
        f"The page is part of vivavoce (Apache-2.0, below), the model is {Path(model).stem}.",
        "onnxruntime-web, Copyright (c) Microsoft Corporation, runs it:",
        *(theirs[name].read_text("utf-8") for name in ("LICENSE", "ThirdPartyNotices.txt") if name in theirs),
        _own_licence(),
    ]
    return "\n\n".join(texts)


def _own_licence() -> str:
    """Beside the package where it is installed, in its root where it is worked on."""
    installed = distribution("vivavoce").read_text("licenses/LICENSE")
    return installed or resources.files("vivavoce").joinpath("LICENSE").read_text("utf-8")


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _swap(page: str, before: str, added: str) -> str:
    return _replace(page, before, added + before)


def _replace(page: str, old: str, new: str) -> str:
    assert page.count(old) == 1, old
    return page.replace(old, new)
