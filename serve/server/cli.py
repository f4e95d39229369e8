"""`vivavoce serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from ...options import NO_PREPROCESSING, Preprocessing, Trust, takes_preprocessing
from ..options import ExampleImages


@takes_preprocessing
def serve(
    model: Annotated[
        str | None,
        typer.Argument(
            help="An exported model, or a shipped one by name.", show_default="the best shipped one"
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes any that is free.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="<name>", help="Also accept this host name; may repeat. * accepts any."),
    ] = None,
    examples: ExampleImages = None,
    trust_model: Trust = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Serve a model over HTTP: a page at /, an API at /v1/classify, described at /docs.

    Stop it with Ctrl-C or SIGTERM; it answers accepted requests first.

    Example: vivavoce serve digits-speech --port 8000
    """
    from ...console import need

    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        need(module, "serve", "the server")
    from ...artifacts import default_model, open_model
    from ..examples import examples as load_examples
    from .run import is_local, run

    opened = open_model(model or default_model(), preprocessing, trust=trust_model)

    def started(url: str) -> None:
        typer.echo(f"{opened.path.stem} answers at {url} (Ctrl-C stops it)")
        if not is_local(url):
            typer.echo("other machines can reach it; it has no passwords and no encryption", err=True)

    offered = load_examples(opened, examples)
    run(opened, host, port, allowed=allow_host or (), examples=offered, started=started)
