"""The page: a handful of files, read once and served from memory."""

from __future__ import annotations

import hashlib
from importlib import resources

from fastapi import FastAPI, Request, Response

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The browser itself refuses whatever is not from here."""


def add_page(app: FastAPI) -> None:
    """Serve the page at /, the API's description at /docs, and their parts under /page/."""
    files = {
        file.name: file.read_bytes()
        for file in resources.files("vivavoce.serve").joinpath("page").iterdir()
        if file.name.rpartition(".")[2] in TYPES
    }
    for path, name in {"/": "index.html", "/docs": "docs.html"}.items():
        _add_file(app, path, name, files.pop(name))
    for name, content in files.items():
        _add_file(app, f"/page/{name}", name, content)


def _add_file(app: FastAPI, path: str, name: str, content: bytes) -> None:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}

    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(None, 304, headers)
        return Response(content, 200, headers, media_type=TYPES[name.rpartition(".")[2]])

    app.add_api_route(path, send, methods=["GET", "HEAD"], include_in_schema=False)
