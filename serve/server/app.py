"""The application: its routes, and what they say when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from ...artifacts import ExportedModel
from ...errors import VivavoceError
from ...sound.speaking import speaks
from ..answers import Answer
from ..examples import Example
from . import replies
from .errors import RequestError
from .hosts import Hosts
from .limits import Limits
from .middleware import Outermost
from .page import add_page
from .service import Service

IMAGE = {"schema": {"type": "string", "format": "binary"}}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "string", "format": "binary"}},
                    "required": ["image"],
                }
            },
            "image/*": IMAGE,
            "application/octet-stream": IMAGE,
        },
    }
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "No image came."},
    406: {"description": "A sound was asked of a model that does not speak."},
    408: {"description": "The image came too slowly."},
    413: {"description": "Too many bytes or pixels."},
    415: {"description": "Not an image of a format that is read."},
    422: {"description": "An image that is cut off or damaged, or a wrong parameter."},
    421: {"description": "The request is for a different host."},
    431: {"description": "Too many headers, or too long."},
    503: {"description": "Busy, or about to stop: try again after `Retry-After` seconds."},
}


def make_app(
    model: ExportedModel,
    limits: Limits | None = None,
    hosts: Hosts | None = None,
    examples: Sequence[Example] = (),
) -> Outermost:
    """The application that serves one model, at this machine's loopback names or at `hosts`.

    `examples` are images that the page offers to try.
    Its `service` holds the model's workers; close it in the end.
    """
    service = Service(model, limits or Limits())
    app = FastAPI(
        title="vivavoce",
        summary="An image in, the class spoken out.",
        version=version("vivavoce"),
        docs_url=None,  # its page loads scripts from elsewhere; ours is at /docs
        redoc_url=None,
    )
    app.add_exception_handler(RequestError, _problem)
    app.add_exception_handler(HTTPException, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _bug)
    _add_classify(app, service)
    _add_rest(app, service, examples)
    add_page(app)
    return Outermost(app, service, hosts or Hosts())


def _add_classify(app: FastAPI, service: Service) -> None:
    problems = {status: {**more, "model": replies.Problem} for status, more in PROBLEMS.items()}
    sound = {"content": {"audio/wav": IMAGE}, "model": replies.Reply}

    @app.post(
        "/v1/classify", summary="Classify an image", openapi_extra=BODY, responses={200: sound, **problems}
    )
    async def classify(
        request: Request,
        audio: Annotated[
            Literal["wav"] | None, Query(description="Add the sound of the answer, in base64.")
        ] = None,
        label: Annotated[bool, Query(description="Add the predicted spectrogram.")] = False,
    ) -> Response:
        """Send the image as the body, or as the file `image` of a form.

        With `Accept: audio/wav` the answer is the sound itself, and the class is in the header `X-Class`.
        """
        aloud = prefers_sound(request.headers.get("accept", ""))
        if (aloud or audio) and not speaks(service.model):
            raise RequestError(
                406, "this model does not speak: neither its labels nor its class names have a sound"
            )

        def finish(answer: Answer) -> Response:
            if aloud:
                return _spoken(answer, service)
            reply = replies.reply(answer, service.model, label)
            if audio:
                reply.audio = replies.audio(*service.sound(answer))
            # Without what was not asked for, but with every null of the rest.
            unasked = {name for name in ("label", "audio") if getattr(reply, name) is None}
            return _json(reply.model_dump_json(by_alias=True, exclude=unasked))

        return await service.answer(await service.reader.read(request), finish)


def _spoken(answer: Answer, service: Service) -> Response:
    """The sound of an answer; what is said, for those who cannot hear it, in headers."""
    from urllib.parse import quote

    headers = {"X-Class": quote(answer.name)}
    if answer.sure is not None:
        headers["X-Sure"] = str(answer.sure).lower()
    return Response(replies.wav(*service.sound(answer)), media_type="audio/wav", headers=headers)


def _add_rest(app: FastAPI, service: Service, examples: Sequence[Example]) -> None:
    about = replies.describe(service.model, service.limits, examples)

    @app.get("/v1/model", summary="What the model is")
    async def model() -> replies.ModelReply:
        """Classes, words, threshold, and the limits on what may be sent."""
        return about

    @app.get(
        "/healthz",
        summary="Whether the server takes requests",
        responses={503: {"description": "About to stop."}},
    )
    async def healthz() -> Response:
        """`ok`, or 503 when it is about to stop."""
        state = "stopping" if service.stopping else "ok"
        return _json(f'{{"status":"{state}"}}', 503 if service.stopping else 200)

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def metrics() -> Response:
        """Requests, answers, batches, times, memory."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def prefers_sound(accept: str) -> bool:
    """Whether an Accept header asks for a sound rather than for JSON."""
    best = {"audio": 0.0, "application": 0.0}
    for entry in accept.lower().split(","):
        kind, *options = [part.strip() for part in entry.split(";")]
        quality = next((o[2:] for o in options if o.startswith("q=")), "1")
        main, _, sub = kind.partition("/")
        if main in best and sub in ("*", "wav", "x-wav", "wave", "json"):
            try:
                best[main] = max(best[main], float(quality))
            except ValueError:
                continue
    return best["audio"] > best["application"]


def _json(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, media_type="application/json")


async def _problem(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return replies.problem(error.status_code, str(error.detail), error.headers)
    assert isinstance(error, RequestError)
    return replies.refusal(error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return replies.problem(422, f"{first['loc'][-1]}: {first['msg']}")


async def _bug(request: Request, error: Exception) -> Response:
    # A model that fails on an image tells so in one line; all else is ours, and the log has it.
    message = str(error) if isinstance(error, VivavoceError) else "an error of the server"
    return replies.problem(500, message)
