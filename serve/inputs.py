"""Where the sound of each image goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import VivavoceError
from ..files import check_folder, check_parent, is_folder
from ..images.asked import Asked


def sound_paths(images: Sequence[Asked], wav: Path | None) -> dict[str, Path]:
    """Where each image's sound goes: a .wav file for one image, else `<image name>.wav` in a folder.

    Below a folder of images, their subfolders are kept; images that differ only in their suffix keep it.

    Raises:
        VivavoceError: a file for several images, a path that cannot be written, or names that collide.
    """
    if wav is None:
        return {}
    if is_folder(wav):
        check_folder(wav)
    elif wav.suffix.lower() != ".wav":
        raise VivavoceError(f"{wav}: give a file ending in .wav, or a folder")
    elif len(images) > 1:
        raise VivavoceError(f"{wav}: is one file, but there are {len(images)} images; give a folder")
    else:
        check_parent(wav)
        return {images[0].name: wav}
    short = [asked.place.with_suffix("") for asked in images]
    places = [
        wav / (f"{asked.place}.wav" if short.count(bare) > 1 else f"{bare}.wav")
        for asked, bare in zip(images, short, strict=True)
    ]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise VivavoceError(f"two of the images would both be {twice}; ask about their folder instead")
    return {asked.name: place for asked, place in zip(images, places, strict=True)}
