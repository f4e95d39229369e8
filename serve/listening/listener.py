"""The automatic listener: which of the words was said? Stands in for human listeners."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from ...console import need
from ...errors import VivavoceError

RATE = 16_000
"""Samples per second that the acoustic model was made for."""
PADDING = 0.3
"""Seconds before and after the word; the recogniser needs room to settle."""
NOISE = 1e-3
"""Standard deviation of the noise that is added: -60 dB, because digital silence is no sound it knows."""

PRONUNCIATIONS: Mapping[str, tuple[str, ...]] = {
    "flatfish": ("F L AE T F IH SH",),
    "lawn": ("L AO N", "L AA N"),
    "mower": ("M OW ER",),
    "pullover": ("P UH L OW V ER",),
    "shrew": ("SH R UW",),
    "skyscraper": ("S K AY S K R EY P ER",),
    "streetcar": ("S T R IY T K AA R",),
}
"""Words of known data sets that the recogniser's dictionary lacks, in its phones."""


class Listener:
    """A forced choice among words by PocketSphinx: it always answers one of them, never "none"."""

    def __init__(
        self, words: Sequence[str], pronunciations: Mapping[str, Sequence[str]] = PRONUNCIATIONS
    ) -> None:
        """Learn the words.

        Args:
            words: what may be said; a name of several words is one choice.
            pronunciations: phones (CMU, without stress) of words that the dictionary lacks.

        Raises:
            VivavoceError: PocketSphinx is not installed, or a word has no pronunciation.
        """
        need("pocketsphinx", "listen", "the listener")
        import pocketsphinx

        model = Path(pocketsphinx.get_model_path("en-us"))
        self.words = tuple(words)
        phones = _phones(model / "cmudict-en-us.dict", self.words, pronunciations)
        # The files are read while the decoder is made and not needed after.
        with tempfile.TemporaryDirectory() as folder:
            dictionary, grammar = Path(folder, "words.dict"), Path(folder, "words.gram")
            dictionary.write_text("".join(_entries(k, said) for k, said in enumerate(phones)), "utf-8")
            choices = " | ".join(f"w{k}" for k in range(len(phones)))
            grammar.write_text(f"#JSGF V1.0;\ngrammar words;\npublic <word> = {choices} ;\n", "utf-8")
            self._decoder = pocketsphinx.Decoder(
                hmm=str(model / "en-us"),
                dict=str(dictionary),
                jsgf=str(grammar),
                samprate=float(RATE),
                loglevel="FATAL",
                bestpath=False,
                # Wide beams: words as long as these must not be pruned before they end.
                beam=1e-120,
                wbeam=1e-100,
                pbeam=1e-120,
            )

    def hear(self, samples: np.ndarray, rate: int) -> str:
        """The word that the sound [n] at `rate` samples per second is most like; "" if nothing was heard."""
        import soxr

        sound = soxr.resample(np.asarray(samples, np.float32), rate, RATE)
        sound = 0.6 * sound / max(float(np.abs(sound).max(initial=0)), 1e-9)
        sound = np.pad(sound, int(PADDING * RATE))
        sound = sound + np.random.default_rng(0).normal(0, NOISE, len(sound))
        data = np.rint(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.start_utt()
        # The whole utterance at once, so that its cepstral mean is its own and not the last one's.
        self._decoder.process_raw(data, no_search=False, full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        if heard is None or not heard.hypstr:
            return ""
        return self.words[int(heard.hypstr.strip().removeprefix("w"))]


def _phones(
    dictionary: Path, words: tuple[str, ...], extra: Mapping[str, Sequence[str]]
) -> list[tuple[str, ...]]:
    """All pronunciations of each word or phrase."""
    parts = [re.split(r"[\s_\-/]+", word.strip().lower()) for word in words]
    wanted = {part for phrase in parts for part in phrase}
    known: dict[str, list[str]] = {word: list(said) for word, said in extra.items()}
    with dictionary.open(encoding="utf-8") as lines:
        for line in lines:
            entry, _, said = line.strip().partition(" ")
            word = entry.partition("(")[0]
            if word in wanted and word not in extra:
                known.setdefault(word, []).append(said)
    missing = sorted(wanted - known.keys())
    if missing:
        raise VivavoceError(
            f"the listener has no English pronunciation for {', '.join(map(repr, missing))}; "
            "give other spoken words"
        )
    return [
        tuple(" ".join(choice) for choice in product(*(known[part] for part in phrase))) for phrase in parts
    ]


def _entries(number: int, pronunciations: tuple[str, ...]) -> str:
    """Lines of a Sphinx dictionary for word `number`: w3, w3(2), ..."""
    distinct = list(dict.fromkeys(pronunciations))
    return "".join(f"w{number}{f'({k + 1})' if k else ''} {said}\n" for k, said in enumerate(distinct))
