"""Files written whole or not at all, read within bounds; names made safe to show."""

import os

import pytest

from vivavoce.errors import VivavoceError
from vivavoce.files import (
    check_folder,
    check_parent,
    is_folder,
    read_bytes,
    read_text,
    replacing,
    sha256_of,
    write_whole,
)
from vivavoce.text import cell, numbered, plain


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "report.json"
    write_whole(path, b"old")

    def fail_halfway():
        with replacing(path) as fresh:
            fresh.write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_can_be_read_by_others_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_files_of_a_library_that_hides_them_have_the_usual_mode(tmp_path):
    old = tmp_path / "old"
    old.touch(0o640)
    before = os.umask(0o022)
    try:
        for path in (tmp_path / "new", old):
            with replacing(path) as fresh:
                fresh.unlink()
                fresh.touch(0o600)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "new", old)] == [0o644, 0o640]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("path", ["/dev/full", "folder", "missing/a.json"])
def test_what_cannot_be_written_is_one_line(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(VivavoceError, match="cannot be written"):
        write_whole(tmp_path / path, b"x" * 10_000)


def test_the_folder_of_an_output_is_checked_before_work(tmp_path):
    check_parent(tmp_path / "a.json")
    for path in (tmp_path, tmp_path / "missing" / "a.json"):
        with pytest.raises(VivavoceError):
            check_parent(path)


@pytest.mark.parametrize("path", ["/dev/zero", "folder", "missing", "large", "a\0b"])
def test_reading_is_bounded_and_refuses_what_is_no_file(tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(bytes(101))
    with pytest.raises(VivavoceError):
        read_bytes(tmp_path / path, limit=100)


def test_text_is_utf8_with_or_without_a_mark(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffeins\r\nzwölf\n".encode())
    assert read_text(path) == "eins\nzwölf\n"
    path.write_bytes(b"zw\xf6lf")
    with pytest.raises(VivavoceError, match="not UTF-8 text"):
        read_text(path)


def test_a_digest_covers_every_file(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode())
    both = sha256_of([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "b").write_bytes(b"c")
    assert sha256_of([tmp_path / "a", tmp_path / "b"]) != both


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("crane", "crane"),
        ("Zürich 猫", "Zürich 猫"),
        ("a\n::error::b", "a\\n::error::b"),
        ("  ::error::b", r"  \x3a:error::b"),
        ("a##[error]b ##vso[task]", r"a\x23#[error]b \x23#vso[task]"),
        ("std::string ## a", "std::string ## a"),
        ("::error::b", r"\x3a:error::b"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("می\u200cشود", "می\u200cشود"),
        ("\ud800", "\\ud800"),
    ],
)
def test_names_are_shown_not_obeyed(name, shown):
    assert plain(name) == shown


@pytest.mark.parametrize("name", ["=1+1", "+1", "-2", "@SUM(1)", "\t=1", "＝1"])
def test_a_cell_is_no_formula(name):
    assert not cell(name).startswith(("=", "+", "-", "@", "＝", "\t"))


def test_equal_names_are_told_apart():
    assert numbered(("crane", "b", "crane", "crane")) == ("crane", "b", "crane (2)", "crane (3)")
    assert len(set(numbered(("a", "a", "a (2)")))) == 3


def test_output_folders_may_be_missing_and_must_be_folders(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "gone").symlink_to("nowhere")
    check_folder(tmp_path)
    check_folder(tmp_path / "a" / "b")
    for path in ("file", "file/below", "gone", "gone/below"):
        with pytest.raises(VivavoceError, match=r"(file|gone): is not a folder; give a folder"):
            check_folder(tmp_path / path)
    assert is_folder(tmp_path)
    assert is_folder(tmp_path / "new")
    assert not is_folder(tmp_path / "new.png")


def test_a_missing_permission_is_found_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for check in (check_parent, check_folder):
        with pytest.raises(VivavoceError, match="no permission to write to this folder"):
            check(tmp_path / "x")
