"""The JSON that the server answers with."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, Field
from starlette.responses import Response

from ...artifacts import ExportedModel
from ...sound.playback import wav
from ...sound.speaking import speaks
from ..answers import Answer
from ..examples import Example
from .errors import RequestError
from .limits import Limits


class Audio(BaseModel):
    """A sound."""

    type: str = Field(default="audio/wav", description="Media type.")
    rate: int = Field(description="Samples per second.")
    seconds: float = Field(description="Its length.")
    base64: str = Field(description="The WAV file: mono, 16 bits.")


class Reply(BaseModel):
    """What the model says of an image."""

    name: str = Field(serialization_alias="class", description="The class that the model decides for.")
    index: int = Field(description="Its place among the model's classes.")
    spoken: str | None = Field(description="The word said for it; null for a model without words.")
    scores: dict[str, float] = Field(description="Every class's score; larger is better.")
    distance: float | None = Field(
        description="Distance of the predicted label to the class's own, by which it was chosen: the mean "
        "square, or by the metric of the bank; label models only."
    )
    loss: float | None = Field(
        description="What the threshold is for: mean smooth L1 of the two, or the distance by the metric of "
        "the bank (1 minus the cosine, minus the dot product); label models only."
    )
    threshold: float | None = Field(description="The model is sure while `loss` is under this.")
    sure: bool | None = Field(description="Whether the prediction is near enough to some label.")
    label: list[list[float]] | None = Field(
        default=None, description="The predicted spectrogram, decibels by band and column, when asked for."
    )
    audio: Audio | None = Field(default=None, description="The sound, when asked for.")


class ModelReply(BaseModel):
    """What the server serves."""

    model: str = Field(description="Its file's name.")
    classes: list[str] = Field(description="Its classes, in the order of the scores.")
    spoken: list[str] = Field(description="The word for each class; empty for a model without words.")
    speaks: bool = Field(description="Whether answers have a sound.")
    label: str | None = Field(description="Kind of label that is predicted; null for a model on logits.")
    threshold: float | None = Field(description="The model is sure while `loss` is under this.")
    floor: float | None = Field(description="Decibels that count as silence, for drawing spectrograms.")
    rate: int | None = Field(description="Samples of sound per second.")
    seconds: list[float] | None = Field(description="Length of each class's word.")
    top_hertz: float | None = Field(description="Upper edge of the spectrogram.")
    height: int = Field(description="Pixels of the images that the model sees.")
    width: int = Field(description="The same, across.")
    channels: int = Field(description="3 for RGB, 1 for grey.")
    resize: int | None = Field(
        description="Images are resized to this on the shorter side and cropped; 0: cropped alone; "
        "null: resized to height x width."
    )
    interpolation: str = Field(description="How images are resized.")
    dataset: str | None = Field(description="What the model learnt from.")
    accuracy: dict[str, float] = Field(description="Figures from when the model was made, in 0..1.")
    max_bytes: int = Field(description="Of a request's body.")
    max_pixels: int = Field(description="Of an image.")
    examples: list[Example] = Field(description="Images to try.")


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="One line.")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The response that says why there is no answer."""
    content = Problem(detail=detail).model_dump_json()
    return Response(content, status, dict(headers or {}), media_type="application/json")


def refusal(error: RequestError) -> Response:
    """The response to a request that is refused."""
    headers = {"Retry-After": "1"} if error.status == 503 else {}
    if error.close:
        headers["Connection"] = "close"
    return problem(error.status, str(error), headers)


def reply(answer: Answer, model: ExportedModel, with_label: bool) -> Reply:
    """The reply to one image, without its sound."""
    manifest = model.manifest
    label = None
    if with_label and answer.label is not None and answer.label.ndim == 2:
        label = np.round(answer.label.astype(float), 2).tolist()
    return Reply(
        name=answer.name,
        index=answer.index,
        spoken=answer.spoken,
        scores=dict(zip(manifest.classes, map(float, answer.scores), strict=True)),
        distance=answer.distance,
        loss=answer.loss,
        threshold=manifest.decoding.threshold,
        sure=answer.sure,
        label=label,
    )


def audio(samples: np.ndarray, rate: int) -> Audio:
    """Sound as a part of a reply."""
    content = base64.b64encode(wav(samples, rate)).decode()
    return Audio(rate=rate, seconds=round(len(samples) / rate, 3), base64=content)


def describe(model: ExportedModel, limits: Limits, examples: Sequence[Example] = ()) -> ModelReply:
    """What the server reports about the model."""
    manifest, label = model.manifest, model.manifest.label
    mel = label.mel if label else None
    seconds = None
    if label and mel and label.frames:
        seconds = [round(frames * mel.hop / mel.sample_rate, 3) for frames in label.frames]
    return ModelReply(
        model=model.path.stem,
        classes=list(manifest.classes),
        spoken=list(manifest.spoken),
        speaks=speaks(model),
        label=label.kind if label else None,
        threshold=manifest.decoding.threshold,
        floor=mel.floor if mel else None,
        rate=mel.sample_rate if mel else None,
        seconds=seconds,
        top_hertz=mel.fmax if mel else None,
        height=manifest.input.height,
        width=manifest.input.width,
        channels=manifest.input.channels,
        resize=manifest.input.resize,
        interpolation=manifest.input.interpolation,
        dataset=manifest.training.dataset if manifest.training else None,
        accuracy=manifest.training.accuracy if manifest.training else {},
        max_bytes=limits.body,
        max_pixels=limits.pixels,
        examples=list(examples),
    )
