"""`vivavoce classify`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import terminal

if TYPE_CHECKING:
    from ..artifacts import ExportedModel
    from .answers import Answer


def classify(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files, any size.")],
    model: Annotated[
        str, typer.Option(help="An exported model, or a shipped one by name.")
    ] = "digits-speech",
    wav: Annotated[
        Path | None,
        typer.Option(help="Write the spoken answer here: a .wav, or a folder for several images."),
    ] = None,
    speak: Annotated[
        bool, typer.Option("--speak", help="Play the answer through the system's player.")
    ] = False,
) -> None:
    """Say what is in an image: its class, how near the answer is to the label, and the sound of it.

    The sound is made from the spectrogram that the model predicts, not from a recording.

    Example: vivavoce classify photo.png --speak --wav out.wav
    """
    from ..artifacts import open_model
    from ..artifacts.playback import write_wav
    from ..images import Fit
    from ..images.imageset import read_image, to_float
    from .answers import answer_images, sound_of

    opened = open_model(model)
    sounds = wav_paths(images, wav)
    fit = Fit.of(opened.manifest.input)
    say = terminal()
    for image in images:
        answer = answer_images(opened, to_float(read_image(image, fit)[None]))[0]
        say.print(describe(image, answer, opened))
        if speak or image in sounds:
            samples, rate = sound_of(opened, answer)
            if image in sounds:
                write_wav(sounds[image], samples, rate)
                typer.echo(f"wrote {sounds[image]}", err=True)
            if speak:
                _play(samples, rate)


def describe(image: Path, answer: Answer, model: ExportedModel) -> str:
    """One line: class, word, score, and for label models distance and whether it is sure."""
    word = f' "{answer.spoken}"' if answer.spoken and answer.spoken != answer.name else ""
    line = f"{image}: {answer.name}{word}, score {answer.score:.2f}"
    if answer.loss is None or answer.distance is None:
        return line
    threshold = model.manifest.decoding.threshold
    sign, sure = ("<", "sure") if answer.sure else (">=", "not sure")
    return f"{line}, distance {answer.distance:.1f}, smooth L1 {answer.loss:.2f} {sign} {threshold:g}: {sure}"


def wav_paths(images: list[Path], wav: Path | None) -> dict[Path, Path]:
    """Where each image's sound goes: one file for one image, else `<image name>.wav` in a folder.

    Raises:
        VivavoceError: a file for several images, a folder that is not there, or names that collide.
    """
    from ..errors import VivavoceError

    if wav is None:
        return {}
    if len(images) == 1 and not wav.is_dir():
        if wav.suffix.lower() != ".wav":
            raise VivavoceError(f"{wav}: give a file ending in .wav, or a folder that exists")
        if not wav.absolute().parent.is_dir():
            raise VivavoceError(f"{wav.parent}: no such folder to write to")
        return {images[0]: wav}
    if not wav.is_dir():
        raise VivavoceError(f"{wav}: for several images give a folder that exists")
    paths = {image: wav / f"{image.stem}.wav" for image in images}
    if len(set(paths.values())) < len(paths):
        raise VivavoceError("two of the images have the same name; write their sounds to different folders")
    return paths


def _play(samples: object, rate: int) -> None:
    from ..artifacts.playback import write_wav
    from ..artifacts.player import play

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.wav"
        write_wav(path, samples, rate)  # type: ignore[arg-type]
        if trouble := play(path):
            typer.echo(trouble, err=True)
