"""Banks by the engines, as a whole: the same bytes twice, understood by the listener, close pairs named."""

import pytest
from banks import build_bank

from vivavoce.errors import VivavoceError
from vivavoce.images.classes import CLASSES
from vivavoce.serve.listening.listener import Listener
from vivavoce.sound.playback import waveform
from vivavoce.train.labels.engines import choose
from vivavoce.train.labels.statistics import describe_indistinct, indistinct_pairs

BANKS = [
    pytest.param(
        engine, dataset, marks=[] if (engine, dataset) == ("flite", "cifar10") else [pytest.mark.full]
    )
    for engine in ("flite", "piper", "espeak-ng")
    for dataset in ("cifar10", "cifar100")
]


@pytest.fixture(scope="module")
def banks():
    """Banks by engine and data set, made once."""
    made = {}

    def bank(engine, dataset):
        if (engine, dataset) not in made:
            try:
                choose(engine, "en", None)
            except VivavoceError as reason:
                pytest.skip(str(reason))
            made[engine, dataset] = build_bank("speech", CLASSES[dataset], engine=engine)
        return made[engine, dataset]

    return bank


@pytest.mark.parametrize(("engine", "dataset"), BANKS)
def test_the_same_bytes_twice(engine, dataset, banks, tmp_path):
    banks(engine, dataset).save(tmp_path / "first.npz")
    build_bank("speech", CLASSES[dataset], engine=engine).save(tmp_path / "second.npz")
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


@pytest.mark.parametrize(("engine", "dataset"), BANKS)
def test_playback_is_understood(engine, dataset, banks):
    """Nine names of ten, by a recogniser that must choose one of them. espeak-ng is not held to it."""
    bank = banks(engine, dataset)
    listener = Listener(bank.spoken)
    right = sum(
        listener.hear(waveform(label, frames, bank.mel), bank.mel.sample_rate) == word
        for label, frames, word in zip(bank.labels, bank.frames, bank.spoken, strict=True)
    )
    share = right / len(bank.classes)
    print(f"{engine} {dataset}: {right} of {len(bank.classes)} names read back")
    assert share >= (0.85 if engine == "espeak-ng" else 0.9)


@pytest.mark.parametrize(("engine", "dataset"), BANKS)
def test_close_pairs_are_named(engine, dataset, banks):
    bank = banks(engine, dataset)
    pairs, warning = indistinct_pairs(bank), describe_indistinct(bank)
    print(f"{engine} {dataset}: {warning}")
    assert (warning is None) == (not pairs)
    assert all(f"{pair.first} and {pair.second}" in (warning or "") for pair in pairs[:5])
    assert dataset != "cifar10" or not pairs
