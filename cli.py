"""`vivavoce`: the umbrella command."""

from .audit.cli import app as audit_app
from .console import make_app, run
from .export.cli import export
from .serve.cli import classify, listen
from .serve.server.cli import serve
from .train.cli import study, train
from .train.labels.cli import app as labels_app
from .train.learned.cli import study_adaptive

app = make_app("Train, export, audit and serve image classifiers that answer aloud.")
app.command()(train)
app.command()(study)
app.command()(study_adaptive)
app.command()(export)
app.command()(classify)
app.command()(listen)
app.command()(serve)
app.add_typer(labels_app, name="labels", help="Make, look at and measure label banks.")
app.add_typer(audit_app, name="audit", help="Audit the robustness of an exported classifier.")


def main() -> None:
    """Entry point of `vivavoce`."""
    run(app)
