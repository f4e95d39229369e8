"""Features through training: the encoder's own, mapped as they are."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

from vivavoce.errors import VivavoceError
from vivavoce.images.sources import digits_test
from vivavoce.study.figures import embedding, features
from vivavoce.study.figures.sampling import sample
from vivavoce.train.run import load_snapshot, load_trained, snapshot


def test_features_are_what_the_encoder_gives(trained):
    record = trained.finished[0]
    images = sample(record, 150, 10).images
    config, _, model, _ = load_trained(record.folder)
    seen = []
    model.head.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        model(images)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (config.mean, config.std))
    by_hand = model.encoder(torch.from_numpy((images.numpy() - mean) / std)).detach()
    found = embedding.encode(model.train(), images)
    np.testing.assert_allclose(found, seen[0].numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, by_hand.numpy(), rtol=1e-4, atol=1e-5)


def test_a_map_is_the_same_every_time_and_keeps_groups_apart():
    noise = np.random.default_rng(0).normal(size=(45, 8)).astype(np.float32)
    groups = np.repeat(np.arange(3), 15)
    places = embedding.place(noise + 30 * np.eye(8, dtype=np.float32)[groups])
    np.testing.assert_array_equal(places, embedding.place(noise + 30 * np.eye(8, dtype=np.float32)[groups]))
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (groups[distances.argmin(1)] == groups).all()


def test_a_map_of_answers_all_alike():
    assert np.isfinite(embedding.place(np.ones((12, 4), np.float32))).all()


def test_the_sample_is_of_every_class_alike(trained):
    few = sample(trained.finished[0], 25, 10)
    assert sorted(np.bincount(few.labels)) == [2] * 5 + [3] * 5
    np.testing.assert_array_equal(few.labels, sample(trained.finished[1], 25, 10).labels)
    some = sample(trained.finished[0], 500, 4)
    assert (some.classes, set(some.labels)) == (tuple("0123"), {0, 1, 2, 3})
    assert len(some.labels) == (digits_test().labels < 4).sum()


def test_a_column_an_epoch_and_a_row_a_kind(trained, style, monkeypatch):
    monkeypatch.setattr(features, "IMAGES", 30)
    figure = features.draw(trained, style)
    assert len(figure.axes) == 4  # the last epoch was the best one: no column for the end
    assert [axes.get_title() for axes in figure.axes[:2]] == ["50 % of training", "100 % of training"]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["category", "speech"]
    assert sorted(text.get_text() for text in figure.legends[0].get_texts()) == list("0123456789")
    record = trained.finished[1]
    images = sample(record, 30, 10)
    epochs = load_trained(record.folder)[0].recipe.epochs
    for axes, epoch in zip(figure.axes[2:], (round(epochs / 2), epochs), strict=True):
        places = embedding.place(embedding.encode(load_snapshot(record.folder, epoch), images.images))
        for digit, line in enumerate(axes.lines):
            np.testing.assert_array_equal(line.get_xydata(), places[images.labels == digit].astype(float))


def test_where_another_epoch_was_best_the_end_is_a_column(trained, style, monkeypatch):
    monkeypatch.setattr(features, "IMAGES", 12)
    path = trained.finished[0].folder / "result.json"
    path.write_text(path.read_text().replace('"best_epoch":4', '"best_epoch":2'))
    assert [axes.get_title() for axes in features.draw(trained, style).axes[:3]][-1] == "best epoch"


def test_texts_have_no_pictures(trained):
    record = trained.finished[0]
    texts = replace(record, cell=msgspec.structs.replace(record.cell, dataset="imdb:reviews"))
    with pytest.raises(VivavoceError, match="imdb:reviews holds texts"):
        sample(texts, 10, 10)


def test_lost_weights_are_named(trained, style):
    record = trained.finished[1]
    snapshot(record.folder, load_trained(record.folder)[0].recipe.epochs).unlink()
    with pytest.raises(VivavoceError, match="safetensors: these weights are gone; remove"):
        features.draw(trained, style)
