"""Which files of a folder are images, by one rule for audits, training and `classify`."""

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from vivavoce import notices
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit, folders, match, open_images
from vivavoce.images.asked import gather
from vivavoce.train.data import open_splits


@pytest.fixture
def photos(tmp_path):
    """Two classes of two images each."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(2):
            picture(tmp_path / "photos" / name / f"{k}.png")
    notices.say_once.cache_clear()
    return tmp_path / "photos"


def picture(path, kind: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.new("RGB", (8, 8), "red").save(file, kind)


def seen(folder, capsys) -> tuple[list[str], str]:
    """The images that an audit and `classify` take, which are the same, and what is said."""
    files: list[str] = [*(open_images(folder).files or ())]
    said = capsys.readouterr().err
    assert sorted(os.path.relpath(a.name, folder) for a in gather([str(folder)])) == files
    capsys.readouterr()
    notices.say_once.cache_clear()
    return files, said


FOUR = ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"]


@pytest.mark.parametrize(
    "name",
    ["cat/.ipynb_checkpoints/0-checkpoint.png", "cat/._0.png", "__MACOSX/cat/a.png", "dog/__MACOSX/a.png",
     "cat/Thumbs.db", "cat/desktop.ini", ".DS_Store", ".hidden/a.png", "cat/@eaDir/a.jpg", "dog/.a/b/c.png"],
)  # fmt: skip
def test_hidden_and_system_files_are_left_out_and_counted(name, photos, capsys):
    picture(photos / name)
    files, said = seen(photos, capsys)
    assert files == FOUR
    assert said == f"{photos}: left out 1 file: 1 hidden\n"
    assert open_images(photos).classes == ("cat", "dog")


def test_other_files_are_named_and_nothing_is_said_of_none(photos, capsys):
    assert seen(photos, capsys) == (FOUR, "")
    for name in ("notes.txt", "b.csv", "c.md", "d.pdf", "e.h5", "f.mpg", "g.eps"):
        (photos / "cat" / name).write_text("text")
    picture(photos / "cat" / ".a.png")
    (photos / "README").write_text("text")
    files, said = seen(photos, capsys)
    assert files == FOUR
    parts = "1 hidden, 1 in no class folder (README), 7 not an image (b.csv, c.md, d.pdf, …)"
    assert "left out 9 files: 1 hidden" in said
    open_images(photos)
    assert capsys.readouterr().err == f"{photos}: left out 9 files: {parts}\n"


def test_the_same_line_is_said_once(photos, capsys):
    picture(photos / ".a.png")
    open_images(photos)
    open_images(photos)
    assert capsys.readouterr().err.count("left out") == 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jfif", "JPEG"), ("a.avif", "AVIF"), ("a.JPG", "JPEG"), ("a.WebP", "WEBP"), ("a.jp2", "JPEG2000"),
     ("a.tga", "TGA"), ("a.mpo", "JPEG"), ("deep/er/a.png", "PNG"), ("deep/a.qoi", "PNG")],
)  # fmt: skip
def test_whatever_pillow_reads_is_an_image(name, kind, photos, capsys):
    picture(photos / "cat" / name, kind)
    files, said = seen(photos, capsys)
    assert files == sorted([*FOUR, f"cat/{name}"])
    assert said == ""
    images = open_images(photos)
    assert images.pixels(np.arange(5), Fit(8, 8)).shape == (5, 8, 8, 3)


def test_links_are_followed_once(photos, tmp_path, capsys):
    picture(tmp_path / "elsewhere" / "a.png")
    (photos / "cat" / "link").symlink_to(tmp_path / "elsewhere")
    (photos / "cat" / "loop").symlink_to(photos / "cat")
    (photos / "cat" / "up").symlink_to(photos / "cat" / "link")
    (photos / "cat" / "gone.png").symlink_to(photos / "nothing")
    (photos / "fox").symlink_to(tmp_path / "elsewhere")
    images = open_images(photos)
    assert images.classes == ("cat", "dog", "fox")
    assert len(images) == 6
    said = capsys.readouterr().err
    assert "left out 3 files: 2 in a folder seen before (" in said
    assert "1 not a regular file (gone.png)" in said


def test_links_that_branch_without_end_take_no_time(photos):
    for k in range(30):
        (photos / "cat" / f"d{k}").mkdir()
    for k in range(29):
        for name in "ab":
            (photos / "cat" / f"d{k}" / name).symlink_to(photos / "cat" / f"d{k + 1}")
    assert len(open_images(photos)) == 4


def test_pipes_are_left_out(photos, capsys):
    os.mkfifo(photos / "cat" / "pipe.png")
    files, said = seen(photos, capsys)
    assert files == FOUR
    assert "1 not a regular file (pipe.png)" in said
    os.mkfifo(photos.parent / "pipe.png")
    with pytest.raises(VivavoceError, match=r"pipe\.png: not a regular file"):
        gather([str(photos.parent / "pipe.png")])[0].read(Fit(8, 8))


def test_a_folder_that_cannot_be_read_ends_the_audit(photos, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(VivavoceError, match=r"dog: cannot be read \(Permission denied\)"):
        open_images(photos)


def test_an_image_that_cannot_be_read_is_named(photos):
    (photos / "dog" / "0.png").write_bytes((photos / "dog" / "0.png").read_bytes()[:50])
    with pytest.raises(VivavoceError, match=r"dog/0\.png: not an image that can be read whole"):
        open_images(photos).pixels(np.arange(4), Fit(8, 8))


def test_a_name_that_is_not_utf8_is_refused(photos):
    picture(photos / "cat" / os.fsdecode(b"\xff.png"))
    with pytest.raises(VivavoceError, match=r"'cat/.*udcff\.png' is not UTF-8"):
        open_images(photos)


def test_parts_of_a_data_set_are_no_classes(photos, tmp_path):
    for part in ("train", "test"):
        (tmp_path / "all").mkdir(exist_ok=True)
        (tmp_path / "all" / part).symlink_to(photos)
    with pytest.raises(VivavoceError, match=r"not classes; give one of them: .*all/test"):
        open_images(tmp_path / "all")
    assert len(open_images(tmp_path / "all" / "test")) == 4


def test_an_empty_class_is_said_and_counts_as_a_class(photos, capsys):
    (photos / "ant").mkdir()
    images = open_images(photos)
    assert images.classes == ("ant", "cat", "dog")
    assert images.labels.tolist() == [1, 1, 2, 2]
    assert capsys.readouterr().err == f"{photos}: no images in 'ant'\n"


def test_training_needs_images_of_two_classes(photos, tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).symlink_to(photos)
    (photos / "ant").mkdir()
    with pytest.raises(VivavoceError, match="train: no images of 'ant'"):
        open_splits(str(tmp_path), 0, side=8)
    for name in ("ant", "dog"):
        (photos / name).rename(tmp_path / name)
    with pytest.raises(VivavoceError, match=r"train: one class \('cat'\)"):
        open_splits(str(tmp_path), 0, side=8)


def test_training_leaves_out_the_same_files(photos, tmp_path, capsys):
    for part in ("train", "test"):
        (tmp_path / part).symlink_to(photos)
    for k in range(2, 12):
        picture(photos / "cat" / f"{k}.png")
    picture(photos / "cat" / ".ipynb_checkpoints" / "0.png")
    picture(photos / "dog" / "a.jfif", "JPEG")
    splits = open_splits(str(tmp_path), 0, side=8)
    assert len(splits.train) + len(splits.validation) == len(splits.test) == 15
    assert capsys.readouterr().err.count("left out 1 file: 1 hidden") == 2


def named(tmp_path, *names: str):
    for name in names:
        picture(tmp_path / "named" / name / "a.png")
    return open_images(tmp_path / "named")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_match_however_they_are_composed(form, tmp_path):
    images = named(tmp_path, unicodedata.normalize(form, "café"), "THÉ ")
    for other in ("NFC", "NFD"):
        classes = tuple(unicodedata.normalize(other, name) for name in ("tee", "thé", "Café"))
        assert match(images, classes, known=True)[0].labels.tolist() == [1, 2]


def test_an_exact_name_comes_before_one_of_other_case(tmp_path):
    images = named(tmp_path, "Cat", "cat")
    assert match(images, ("cat", "dog", "Cat"), known=True)[0].labels.tolist() == [2, 0]
    with pytest.raises(VivavoceError, match="'Cat' could be any of 'CAT', 'cAt'"):
        match(images, ("CAT", "cAt", "cat"), known=True)


def test_a_class_that_occurs_twice_is_matched_by_its_number(tmp_path):
    images = named(tmp_path, "crane", "crane (2)")
    assert match(images, ("crane", "x", "crane"), known=True)[0].labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("names", "count", "labels", "how"),
    [
        (("0", "10", "2", "9"), 11, [0, 10, 2, 9], "number"),
        (("1", "10", "2"), 3, [0, 1, 2], "sorted order"),
        (("01", "1"), 2, [0, 1], "sorted order"),
        (("٠", "١"), 2, [0, 1], "sorted order"),
    ],
)  # fmt: skip
def test_numbers_are_class_numbers_only_if_each_is_one(names, count, labels, how, tmp_path):
    found, said = match(named(tmp_path, *names), tuple(map(str, range(count))), known=False)
    assert found.labels.tolist() == labels
    assert how in said


def test_a_hundred_thousand_images_are_listed_without_opening_them(photos, monkeypatch):
    class Entry:
        def __init__(self, k: int) -> None:
            self.name, self.path = f"{k}.png", str(photos / "cat" / f"{k}.png")

        def is_dir(self, follow_symlinks: bool = True) -> bool:
            return False

        def is_file(self) -> bool:
            return True

    real = folders._entries
    many = [Entry(k) for k in range(100_000)]
    monkeypatch.setattr(folders, "_entries", lambda f: many if f.name == "cat" else real(f))
    images = open_images(photos)
    assert len(images) == 100_002
    assert images.files
    assert images.files[1] == "cat/1.png"
