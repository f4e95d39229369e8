import numpy as np
import pytest
from PIL import Image

from vivavoce.errors import VivavoceError
from vivavoce.images import Fit, match, open_images
from vivavoce.images.imageset import read_image, to_float


def test_the_digits_that_ship_are_scikit_learns():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedShuffleSplit

    images, labels = load_digits(return_X_y=True)
    _, chosen = next(StratifiedShuffleSplit(1, test_size=360, random_state=0).split(images, labels))
    chosen = np.sort(chosen)
    digits = open_images("digits")
    assert np.array_equal(digits.labels, labels[chosen])
    pixels = digits.pixels(np.arange(360), Fit(32, 32))
    assert pixels.shape == (360, 32, 32, 3)
    expected = np.rint(images[chosen].reshape(-1, 8, 8) * 255 / 16)
    assert np.array_equal(pixels[:, ::4, ::4, 0], expected)
    assert np.array_equal(pixels[:, 3::4, 3::4, 2], expected)


def test_a_folder_of_classes(tmp_path):
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("RGB", (8, 8), (100 * k, 50 * i, 0)).save(tmp_path / name / f"{i}.png")
    images = open_images(tmp_path)
    assert images.classes == ("cat", "dog")
    assert images.files == ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")
    pixels = images.pixels(np.array([3]), Fit(4, 4))
    assert pixels.tolist() == np.full((1, 4, 4, 3), (100, 50, 0)).tolist()


def test_an_npz(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=pixels, labels=np.array([0, 1, 2, 1, 0]))
    images = open_images(tmp_path / "a.npz")
    assert np.array_equal(images.pixels(np.arange(5), Fit(8, 8)), pixels)
    assert not images.named


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 4, 4), np.uint8)}, "labels"),
        ({"images": np.zeros((2, 4, 4), np.float32), "labels": np.zeros(2, int)}, "uint8"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(3, int)}, "one integer per image"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([0, -1])}, "name no class"),
        (
            {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([{}, {}], dtype=object)},
            "Python objects",
        ),
    ],
)
def test_an_npz_that_does_not_fit(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(VivavoceError, match=message):
        open_images(tmp_path / "a.npz")


def test_folders_without_classes_or_images(tmp_path):
    with pytest.raises(VivavoceError, match="no classes"):
        open_images(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(VivavoceError, match="no images"):
        open_images(tmp_path)
    with pytest.raises(VivavoceError, match="no such data set"):
        open_images(tmp_path / "gone")


def test_images_come_upright_grey_transparent_and_16_bit(tmp_path):
    tall = Image.new("RGB", (2, 4), "red")
    exif = tall.getexif()
    exif[0x0112] = 6  # rotate a quarter turn to see it upright
    tall.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg", Fit(2, 4)).shape == (2, 4, 3)
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png", Fit(4, 4)).min() == 255
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png", Fit(4, 4, 1)).tolist() == np.full((4, 4, 1), 128).tolist()


def test_resize_the_shorter_side_and_crop_the_centre(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    pixels = read_image(tmp_path / "wide.png", Fit(10, 10, resize=10))
    assert pixels.min() == 200


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n cut", b"GIF89a"])
def test_a_file_that_is_no_image(content, tmp_path):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(VivavoceError, match="not an image"):
        read_image(tmp_path / "x.png", Fit(4, 4))


def test_to_float():
    pixels = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    assert to_float(pixels).ravel().tolist() == pytest.approx([0, 0.2, 1])


def folder_of(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name / "a.png")
    return open_images(tmp_path)


def test_match_by_name_whatever_the_order_and_case(tmp_path):
    images, how = match(folder_of(tmp_path, ["Dog", "cat"]), ("cat", "bird", "dog"), known=True)
    assert [images.classes[k] for k in images.labels] == ["dog", "cat"]
    assert "name" in how


def test_match_names_a_class_that_the_model_lacks(tmp_path):
    with pytest.raises(VivavoceError, match="'fox'"):
        match(folder_of(tmp_path, ["cat", "fox"]), ("cat", "dog"), known=True)


def test_match_by_number_or_by_order_when_the_model_has_no_names(tmp_path):
    images, how = match(folder_of(tmp_path / "n", ["2", "10"]), tuple(map(str, range(12))), known=False)
    assert sorted(images.labels.tolist()) == [2, 10]
    assert "number" in how
    images, how = match(folder_of(tmp_path / "s", ["x", "y"]), ("0", "1"), known=False)
    assert images.labels.tolist() == [0, 1]
    assert "sorted order" in how
    with pytest.raises(VivavoceError, match="--classes"):
        match(images, tuple("012"), known=False)


def test_a_sample_is_stratified_seeded_and_in_order():
    digits = open_images("digits")
    chosen = digits.sample(100, 3)
    assert len(chosen) == 100
    assert np.array_equal(chosen, np.sort(chosen))
    assert np.array_equal(chosen, digits.sample(100, 3))
    assert not np.array_equal(chosen, digits.sample(100, 4))
    counts = np.bincount(digits.labels[chosen], minlength=10)
    share = np.bincount(digits.labels) * 100 / 360
    assert np.all(np.abs(counts - share) < 1)
    assert len(digits.sample(0, 0)) == len(digits.sample(1000, 0)) == 360


def test_folders_of_numbers_fit_a_model_with_names(tmp_path):
    images, how = match(folder_of(tmp_path / "n", ["2", "0"]), ("cat", "dog", "fox"), known=True)
    assert (images.labels.tolist(), how) == ([0, 2], "folder names taken as the model's class numbers")
    with pytest.raises(VivavoceError, match="no class '0', '3'"):
        match(folder_of(tmp_path / "o", ["3", "0"]), ("cat", "dog", "fox"), known=True)


def test_wordnet_ids_are_in_the_order_of_imagenet(tmp_path, monkeypatch):
    monkeypatch.setattr("vivavoce.images.matching.IMAGENET", 2)
    images, how = match(folder_of(tmp_path, ["n00000002", "n00000001"]), ("cat", "dog"), known=True)
    assert images.classes == ("cat", "dog")
    assert "WordNet" in how
