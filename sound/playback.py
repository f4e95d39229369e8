"""From a spectrogram in decibels back to sound: pseudo-inverse mel, own length, Griffin-Lim."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from ..artifacts.manifest import Mel
from ..files import write_whole
from .mel import hann, inverse_filter_bank

MOMENTUM = 0.99
"""Of the fast Griffin-Lim algorithm (Perraudin, Balazs and Søndergaard 2013)."""
ITERATIONS = 32
"""Rounds of phase estimation; more cannot be told apart by ear."""
PEAK = 0.9
"""Largest sample of what is played."""
FAINTEST = 1e-10
"""Least power of a frequency, relative to the maximum: the pseudo-inverse makes some negative."""
SPREAD = 1e-3
"""Added to the sum of squared windows, which is 0 where no window reaches."""
PRIME = 2**31 - 1
MULTIPLIER = 48_271
"""Of the sequence of first phases; a primitive root of `PRIME` (Park, Miller and Stockmeyer 1993)."""


def first_phases(frames: int, bins: int) -> np.ndarray:
    """The first guess at the phases, which is the same for everybody: float32 [frames, bins] in 0..2 pi.

    Squares modulo a prime look random, and whole-number arithmetic gives the same ones in numpy and inside
    an ONNX file. A longer sound begins with the phases of a shorter one.
    """
    start = np.arange(frames * bins, dtype=np.int64).reshape(frames, bins) * MULTIPLIER % PRIME
    mixed = (start * start % PRIME + MULTIPLIER) % PRIME
    return ((mixed * mixed % PRIME) * (2 * np.pi / PRIME)).astype(np.float32)


def waveform(label: np.ndarray, frames: int | None, mel: Mel, *, iterations: int = ITERATIONS) -> np.ndarray:
    """Turn a log-mel spectrogram into mono sound.

    Args:
        label: decibels relative to the maximum, [bands, columns]; entries are clipped to mel.floor..0.
        frames: the utterance's own number of frames; None: as many as the label has columns.
        mel: how the spectrogram was made; the sound has `mel.sample_rate` samples per second.
        iterations: rounds of phase estimation.

    Returns:
        float32 [frames * hop] in -0.9..0.9, all zeros for a label that is silent throughout.
    """
    decibels = np.clip(label, mel.floor, 0.0)
    if float(decibels.max()) <= mel.floor:
        return np.zeros((frames or label.shape[1]) * mel.hop, np.float32)
    power = 10 ** (stretch(decibels, frames or label.shape[1]) / 10)
    linear = inverse_filter_bank(len(label), mel) @ power.astype(np.float32)
    sound = griffin_lim(np.sqrt(np.maximum(linear, FAINTEST)), mel, iterations)
    return sound * np.float32(PEAK / max(float(np.abs(sound).max()), 1e-9))


def stretch(label: np.ndarray, frames: int) -> np.ndarray:
    """Bring [bands, columns] to [bands, frames], linear between the centres of columns."""
    columns = label.shape[1]
    if frames == columns:
        return label
    centre = np.clip((np.arange(frames) + 0.5) * columns / frames - 0.5, 0, columns - 1)
    left = np.minimum(centre.astype(int), columns - 2)
    share = centre - left
    return label[:, left] * (1 - share) + label[:, left + 1] * share


def griffin_lim(magnitude: np.ndarray, mel: Mel, iterations: int) -> np.ndarray:
    """Find a sound whose short-time spectrum has about these magnitudes.

    Fast Griffin-Lim: alternately make the spectrum consistent (to sound and back) and give it the
    wanted magnitudes, with momentum on the consistent spectrum.

    Args:
        magnitude: [n_fft/2 + 1, frames].
        mel: window length and hop; n_fft must be a multiple of the hop.
        iterations: rounds.

    Returns:
        float32 [frames * hop].
    """
    magnitude = magnitude.T.astype(np.float32)
    frames = len(magnitude)
    window = hann(mel.n_fft)
    weight = _overlap(np.broadcast_to(window * window, (frames, mel.n_fft)), mel.hop) + np.float32(SPREAD)
    turn = first_phases(*magnitude.shape)
    phase = np.empty(magnitude.shape, np.complex64)
    phase.real, phase.imag = np.cos(turn), np.sin(turn)
    before = np.zeros_like(phase)
    damping = np.float32(MOMENTUM / (1 + MOMENTUM))
    for _ in range(iterations):
        sound = _overlap(np.fft.irfft(magnitude * phase, axis=1) * window, mel.hop) / weight
        # numpy's forward transform is four times faster in double precision than in single.
        windowed = np.multiply(_frames(sound, frames, mel), window, dtype=np.float64)
        consistent = np.fft.rfft(windowed, axis=1).astype(np.complex64)
        phase = consistent - damping * before
        phase *= 1 / (np.abs(phase) + np.float32(1e-16))
        before = consistent
    sound = _overlap(np.fft.irfft(magnitude * phase, axis=1) * window, mel.hop) / weight
    # Frames are centred on their instants: half a window before the first and after the last is padding.
    margin = mel.n_fft // mel.hop // 2
    return sound[margin : margin + frames].ravel().astype(np.float32)


def _overlap(frames: np.ndarray, hop: int) -> np.ndarray:
    """Add overlapping frames [T, n_fft] up: [T + n_fft/hop - 1, hop], one row per hop."""
    count, length = frames.shape
    overlaps = length // hop
    total = np.zeros((count + overlaps - 1, hop), np.float32)
    for j in range(overlaps):
        total[j : j + count] += frames[:, j * hop : (j + 1) * hop]
    return total


def _frames(sound: np.ndarray, count: int, mel: Mel) -> np.ndarray:
    """Cut [T + n_fft/hop - 1, hop] into overlapping frames [T, n_fft]."""
    return np.concatenate([sound[j : j + count] for j in range(mel.n_fft // mel.hop)], axis=1)


def write_wav(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write mono sound [n] in -1..1 as a 16-bit WAV file of `rate` samples per second.

    Raises:
        VivavoceError: the file cannot be written.
    """
    write_whole(Path(path), wav(samples, rate))


def wav(samples: np.ndarray, rate: int) -> bytes:
    """Mono sound [n] in -1..1 as a 16-bit WAV file of `rate` samples per second."""
    whole, data = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2"), io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(whole.tobytes())
    return data.getvalue()
