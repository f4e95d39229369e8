"""WordNet's distances as the adaptive-label authors used them, tau-b, chance and the command."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from vivavoce.artifacts import LabelBank
from vivavoce.cli import app
from vivavoce.errors import VivavoceError
from vivavoce.images.classes import CLASSES
from vivavoce.train.labels.semantics.correlation import chance_level, label_distances, mean_tau
from vivavoce.train.labels.semantics.measure import measure
from vivavoce.train.labels.semantics.pictures import families, scaled
from vivavoce.train.labels.semantics.senses import AWA2, find_synsets
from vivavoce.train.labels.semantics.wordnet import PLACES, WordNet

CIFAR10 = """8 14 18 19 13 15 19 5 8; 13 17 18 12 14 18 7 2; 6 7 5 3 7 13 13; 7 4 7 7 17 17; 7 8 6 18 18;
6 7 12 12; 8 14 14; 18 18; 7"""
FASHION = "3 4 3 6 2 6 7; 5 4 7 3 7 8; 5 6 4 6 7; 7 3 7 8; 6 2 7; 6 7; 7"
"""Upper triangles of the published distance matrices, row by row."""


def whole(triangle: str) -> np.ndarray:
    rows = [[int(x) for x in row.split()] for row in triangle.split(";")]
    matrix = np.zeros((len(rows) + 1,) * 2, np.int64)
    matrix[np.triu_indices(len(matrix), 1)] = [x for row in rows for x in row]
    return matrix + matrix.T


@pytest.fixture(scope="module")
def wordnet() -> WordNet:
    if not any((place / "data.noun").is_file() for place in PLACES):
        pytest.skip("WordNet is not on this machine (Debian's wordnet-base)")
    return WordNet()


def found(wordnet, classes):
    return wordnet.distances(list(find_synsets(wordnet, classes).values()))


def test_distances_between_the_classes_of_cifar10(wordnet):
    assert np.array_equal(found(wordnet, CLASSES["cifar10"]), whole(CIFAR10))


def test_distances_between_eight_classes_of_fashion_mnist(wordnet):
    assert list(find_synsets(wordnet, CLASSES["fashion-mnist"])) == list(range(1, 9))
    assert np.array_equal(found(wordnet, CLASSES["fashion-mnist"]), whole(FASHION))


def test_distances_between_the_animals(wordnet):
    matrix = found(wordnet, AWA2)
    assert matrix.shape == (23, 23)
    assert (matrix.sum(), matrix.max()) == (3192, 11)


def test_a_small_database_by_hand(tmp_path):
    (tmp_path / "index.noun").write_text(
        "  1 licence\nanimal n 1 1 ~ 1 0 00000001\ncat n 2 1 @ 2 0 00000002 00000004\n"
        "dog n 1 1 @ 1 0 00000003\nthing n 1 1 ~ 1 0 00000000\n"
    )
    (tmp_path / "data.noun").write_text(
        "  1 licence\n00000000 03 n 01 thing 0 000 | all\n"
        "00000001 03 n 01 animal 0 001 @ 00000000 n 0000 | it\n"
        "00000002 05 n 02 cat 0 puss 1 002 @ 00000001 n 0000 ~ 00000003 n 0000 | @ 00000009\n"
        "00000003 05 n 01 dog 0 001 @i 00000001 n 0000 | it\n"
        "00000004 05 n 01 cat 0 001 @ 00000000 n 0000 | whip\n"
    )
    small = WordNet(tmp_path)
    cat, dog, whip = small.synset("Cat"), small.synset("dog"), small.synset("cat", 2)
    assert (cat, dog, whip, small.synset("dog", 2), small.synset("unicorn")) == (2, 3, 4, None, None)
    assert small.distances([2, 3, 4, 1]).tolist() == [[0, 2, 3, 1], [2, 0, 3, 1], [3, 3, 0, 2], [1, 1, 2, 0]]


def test_a_metric_goes_with_itself():
    for matrix in (whole(CIFAR10), whole(FASHION)):
        assert mean_tau(matrix, matrix) == pytest.approx(1)
        assert mean_tau(-matrix, matrix) == pytest.approx(-1)
        assert mean_tau(matrix.astype(float) ** 3, matrix) == pytest.approx(1)


def test_labels_all_alike_have_no_order():
    assert mean_tau(label_distances(np.eye(10)), whole(CIFAR10)) == 0


@pytest.mark.parametrize(("triangle", "deviation"), [(CIFAR10, 0.115), (FASHION, 0.156)])
def test_the_chance_level(triangle, deviation):
    draws = chance_level(whole(triangle))
    assert len(draws) == 150
    assert draws.std() == pytest.approx(deviation, rel=0.2)
    assert abs(draws.mean()) < 3 * draws.std() / np.sqrt(150)


def test_a_map_keeps_the_distances_of_points_in_the_plane():
    points = np.random.default_rng(0).normal(size=(6, 2))
    distances = label_distances(points)
    again = label_distances(scaled(distances))
    np.testing.assert_allclose(again / again.max(), distances / distances.max(), atol=1e-9)


def test_wordnets_families():
    colours = families(whole(CIFAR10))
    animals, machines = {colours[k] for k in (2, 3, 4, 5, 6, 7)}, {colours[k] for k in (0, 1, 8, 9)}
    assert not animals & machines


@pytest.fixture
def bank(tmp_path):
    """A bank whose distances are WordNet's, nearly: CIFAR-10's classes by their distances to each other."""
    path = tmp_path / "bank.npz"
    LabelBank("learned", whole(CIFAR10).astype(np.float32), CLASSES["cifar10"]).save(path)
    return path


def test_the_command_measures_and_draws(wordnet, bank, tmp_path):
    pictures = tmp_path / "tree.png", tmp_path / "map.png"
    arguments = [
        "labels",
        "semantics",
        str(bank),
        "--dendrogram",
        str(pictures[0]),
        "--mds",
        str(pictures[1]),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (measured,) = measure({"bank": LabelBank.load(bank)}, wordnet)
    assert measured.semantics.tau > 0.5
    assert f"{measured.semantics.tau:.3f}" in result.output
    for picture in pictures:
        with Image.open(picture) as opened:
            assert opened.size[0] == 1500
            assert len(opened.convert("RGB").getcolors(1 << 20) or []) > 20


def test_refusals(wordnet, bank, tmp_path):
    with pytest.raises(VivavoceError, match="wordnet-base"):
        WordNet(tmp_path)
    numbers = LabelBank("learned", np.eye(3, dtype=np.float32), ("xqz", "zzx", "qqq"))
    with pytest.raises(VivavoceError, match="WordNet has 0 of these 3"):
        measure({"a": numbers}, wordnet)
    for arguments, complaint in (
        ([str(bank), "--bank", "features"], "no bank 'features'"),
        ([str(PLACES[0].parent / "doc")], "no label vectors"),
        ([str(bank), "--mds", str(tmp_path / "map.doc")], "no picture format"),
    ):
        result = CliRunner().invoke(app, ["labels", "semantics", *arguments])
        assert isinstance(result.exception, VivavoceError)
        assert complaint in str(result.exception)
