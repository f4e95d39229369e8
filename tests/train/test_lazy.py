"""Images left on disk train exactly as images in memory do."""

import numpy as np
import pytest
import torch
from PIL import Image

from vivavoce.errors import VivavoceError
from vivavoce.train import data
from vivavoce.train.data import open_splits
from vivavoce.train.feed import Feed
from vivavoce.train.lazy import LazyImages


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 4)):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
            for k in range(count):
                size = (*generator.integers(20, 60, 2), 3)
                pixels = generator.integers(0, 256, size).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{k}.png")
    return root


def test_images_on_disk_are_those_in_memory(folder, monkeypatch):
    held = open_splits(str(folder), 3, side=40)
    monkeypatch.setattr(data, "IN_MEMORY", 1000)
    lazy = open_splits(str(folder), 3, side=40)
    assert isinstance(lazy.train.images, LazyImages)
    assert lazy.train.images.shape == held.train.images.shape == (36, 3, 40, 40)
    assert isinstance(lazy.test.images, LazyImages)
    for part in ("train", "validation", "test"):
        a, b = getattr(held, part), getattr(lazy, part)
        assert np.array_equal(a.images, b.images[:])
        assert np.array_equal(a.classes, b.classes)
    order = list(torch.randperm(36).split(8))
    cpu = torch.device("cpu")
    both = zip(Feed(held.train, cpu).batches(order), Feed(lazy.train, cpu).batches(order), strict=True)
    count = 0
    for (images, classes), (read, also) in both:
        assert torch.equal(images, read)
        assert torch.equal(classes, also)
        count += len(classes)
    assert count == 36


@pytest.mark.parametrize(("dataset", "side"), [("digits", 64), ("digits", 4)])
def test_sizes_that_cannot_be_are_refused(dataset, side):
    with pytest.raises(VivavoceError, match="image size"):
        open_splits(dataset, 0, side=side)


def test_an_image_that_cannot_be_read_stops_the_training_by_name(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "IN_MEMORY", 1000)
    splits = open_splits(str(folder), 3, side=40)
    assert isinstance(splits.train.images, LazyImages)
    assert splits.train.images.source.files is not None
    broken = folder / "train" / splits.train.images.source.files[int(splits.train.images.chosen[0])]
    kept = broken.read_bytes()
    broken.write_bytes(kept[:100])
    with pytest.raises(VivavoceError, match=broken.name):
        list(Feed(splits.train, torch.device("cpu")).batches([torch.arange(4)]))
    broken.write_bytes(kept)
