"""Where the sound of each image goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import VivavoceError
from ..images.asked import Asked


def sound_paths(images: Sequence[Asked], wav: Path | None) -> dict[str, Path]:
    """Where each image's sound goes: one file for one image, else `<image name>.wav` in a folder.

    Below a folder of images, their subfolders are kept; images that differ only in their suffix keep it.

    Raises:
        VivavoceError: a file for several images, a folder that is not there, or names that collide.
    """
    if wav is None:
        return {}
    if len(images) == 1 and not wav.is_dir():
        if wav.suffix.lower() != ".wav":
            raise VivavoceError(f"{wav}: give a file ending in .wav, or a folder that exists")
        if not wav.absolute().parent.is_dir():
            raise VivavoceError(f"{wav.parent}: no such folder to write to")
        return {images[0].name: wav}
    if not wav.is_dir():
        raise VivavoceError(f"{wav}: for several images give a folder that exists")
    short = [asked.place.with_suffix("") for asked in images]
    places = [
        wav / (f"{asked.place}.wav" if short.count(bare) > 1 else f"{bare}.wav")
        for asked, bare in zip(images, short, strict=True)
    ]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise VivavoceError(f"two of the images would both be {twice}; ask about their folder instead")
    return {asked.name: place for asked, place in zip(images, places, strict=True)}
