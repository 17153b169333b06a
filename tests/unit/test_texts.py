"""Which files a path, a folder or a pattern means, and what their bytes say."""

from __future__ import annotations

import os

import pytest

from ctxbench import CtxbenchError
from ctxbench.texts import check_encoding, decode, find_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("d/b.md", "d/a.txt", "d/sub/c.md", "d/sub/deep/e.md", "d/.hidden/x.md", "d/.dot.md", "d/notes[1].md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def labels(*paths):
    return [file.label for file in find_files(paths)]


def test_a_folder_is_all_its_files_by_name(folder):
    """At any depth and in an order that does not depend on the file system; hidden ones are left out."""
    assert labels("d") == ["a.txt", "b.md", "notes[1].md", "sub/c.md", "sub/deep/e.md"]


def test_patterns(folder):
    """``*`` stays within a folder, ``**`` crosses them, and a file whose name looks like a pattern is that file."""
    assert labels("d/*.md") == ["b.md", "notes[1].md"]
    assert labels("d/**/*.md") == ["b.md", "notes[1].md", "sub/c.md", "sub/deep/e.md"]
    assert labels("d/sub/**") == ["c.md", "deep/e.md"]
    assert labels("d/[ab].*") == ["a.txt", "b.md"]
    assert labels("d/notes[1].md") == ["notes[1].md"]


def test_several_paths_keep_apart(folder):
    """A file that two paths mean comes once; labels tell the folders apart."""
    assert labels("d/sub", "d/b.md", "d/sub/c.md") == ["d/sub/c.md", "d/sub/deep/e.md", "d/b.md"]


def test_links_that_go_round_end(folder):
    """Two links to the folder itself stand for endless paths; a walk that followed them would not come back."""
    for name in ("one", "two"):
        (folder / "d/sub" / name).symlink_to("..")
    assert labels("d") == labels("d/**/*") == ["a.txt", "b.md", "notes[1].md", "sub/c.md", "sub/deep/e.md"]


def test_what_is_no_regular_file_is_left_alone(folder):
    """Reading a pipe would wait for ever."""
    os.mkfifo(folder / "d/pipe")
    assert "pipe" not in labels("d")
    with pytest.raises(CtxbenchError, match="neither a file nor a folder"):
        find_files(["d/pipe"])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.txt", "none.txt: No such file or directory"),
        ("d/*.pdf", "no file fits this pattern"),
        ("nowhere/*.md", "nowhere: no such folder"),
        ("empty", "the folder holds no files"),
        ("", "is no path"),
        ("a\0b", "is no path"),
    ],
)
def test_what_is_not_there(folder, path, message):
    """Each mistake says which path, in one line."""
    (folder / "empty").mkdir()
    with pytest.raises(CtxbenchError) as error:
        find_files([path])
    assert message in str(error.value)


def test_decoding():
    """Line ends stay, a byte order mark goes unless all is to stay, and what is no text is told with its place."""
    assert decode(b"\xef\xbb\xbfa\r\nb", "f") == "a\r\nb"
    assert decode(b"\xef\xbb\xbfa\0", "f", verbatim=True) == "\ufeffa\0"
    assert decode("grün".encode("utf-16"), "f", "utf-16") == "grün"
    for data, message in (
        ("grün".encode("utf-16"), "f: not UTF-8 text: byte 0xff at position 0; it begins as UTF-16 does: give the encoding utf-16"),
        ("grün".encode("latin-1"), "f: not UTF-8 text: byte 0xfc at position 2"),
        (b"ab\0c", "f: holds a NUL character at position 2: a binary file, or another encoding"),
    ):
        with pytest.raises(CtxbenchError) as error:
            decode(data, "f")
        assert str(error.value) == message


@pytest.mark.parametrize("name", ["utf-99", "", "rot13", "base64", "idna\0"])
def test_an_encoding_must_be_one_of_text(name):
    """``rot13`` is a codec of Python's that decodes no bytes: taken, it would raise in the middle of a run."""
    with pytest.raises(ValueError, match="encoding must be"):
        check_encoding(name)
