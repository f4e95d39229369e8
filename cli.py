"""`vivavoce`: the umbrella command."""

from .audit.cli import app as audit_app
from .console import make_app, run
from .export.cli import export
from .serve.cli import classify, listen, web
from .serve.server.cli import serve
from .study.cli import app as study_app
from .train.cli import train
from .train.labels.cli import app as labels_app

app = make_app("Train, export, audit and serve image classifiers that answer aloud.")
app.command()(train)
app.command()(export)
app.command()(classify)
app.command()(listen)
app.command()(serve)
app.command()(web)
app.add_typer(labels_app, name="labels", help="Make, look at and measure label banks.")
app.add_typer(study_app, name="study", help="The papers' experiments: many runs, compared.")
app.add_typer(audit_app, name="audit", help="Audit the robustness of an exported classifier.")


def main() -> None:
    """Entry point of `vivavoce`."""
    run(app)
