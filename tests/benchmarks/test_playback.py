"""How long one utterance takes to become sound; wanted: at most 0.05 s."""

import numpy as np

from vivavoce.artifacts.manifest import Mel
from vivavoce.sound.playback import waveform


def test_playback(benchmark):
    label = np.random.default_rng(0).uniform(-80, 0, (64, 64)).astype(np.float32)
    benchmark(waveform, label, 64, Mel())
