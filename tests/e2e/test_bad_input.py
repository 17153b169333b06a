"""Bad input gets one clear line and an exit code, never a traceback, and harms nothing that was stored."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

CODECS = ("text", "render", "codebook", "codebook_external")


def one_error(done) -> str:
    """The one line on stderr."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(("error: ", "Error: ", "Usage: ")), lines
    return lines[0]


@pytest.mark.parametrize("codec", CODECS)
def test_an_empty_context(ctxbench, tmp_path, codec):
    """An empty text is a text: every codec carries it, and gives it back or says that it cannot be read."""
    (tmp_path / "e.txt").write_bytes(b"")
    ctxbench("encode", "e.txt", "-c", codec, "-o", "p")
    if codec != "render":
        assert ctxbench("decode", "p", "-c", codec).stdout == ""
    assert "empty" in one_error(ctxbench("cost", "e.txt", exit_code=1))


@pytest.mark.parametrize("codec", CODECS)
def test_lone_surrogates(codec):
    """A str that UTF-8 cannot hold is refused with the code point and its position."""
    import ctxbench as package

    with pytest.raises(package.EncodeError, match=r"U\+D800 at character 2"):
        package.load_plugins().codec(codec).encode("ab\ud800")


@pytest.mark.parametrize("codec", ["text", "codebook", "codebook_external"])
@pytest.mark.parametrize("text", ["a\x00b\x07\x1b[31m\x7f", "שלום עולם ‏rtl‎ مرحبا", "👩‍👩‍👧‍👦🏳️‍🌈é𝔘"], ids=["control", "rtl", "emoji"])
def test_odd_characters_survive(ctxbench, tmp_path, codec, text):
    """NUL, control characters, right-to-left text and emoji come back byte for byte."""
    (tmp_path / "in.txt").write_bytes(text.encode())
    ctxbench("encode", "in.txt", "-c", codec, "-o", "p")
    ctxbench("decode", "p", "-c", codec, "-o", "out.txt")
    assert (tmp_path / "out.txt").read_bytes() == text.encode()


@pytest.mark.parametrize("codec", ["text", "codebook:preset=max", "codebook_external"])
def test_a_5_mb_context(ctxbench, tmp_path, codec):
    """5 MB are carried exactly, or refused with one line that gives the size."""
    data = b"".join(b'{"line": %d, "note": "something to say"}\n' % i for i in range(115_000))
    assert len(data) > 5_000_000
    (tmp_path / "in.txt").write_bytes(data)
    done = ctxbench("encode", "in.txt", "-c", codec, "-o", "p", exit_code=None)
    if done.returncode:
        assert any(digit in one_error(done) for digit in "0123456789")
    elif codec == "text":
        assert ctxbench("decode", "p", "-c", codec).stdout.encode() == data


@pytest.mark.parametrize("codec", ["render", "codebook", "codebook_external"])
def test_broken_images(ctxbench, tmp_path, codec):
    """Not an image, a truncated one, one of 30,000 x 30,000 px, a folder, nothing at all: one line each, naming the file."""
    (tmp_path / "text.png").write_text("not an image")
    Image.new("RGB", (280, 280), "white").save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    (tmp_path / "huge.png").write_bytes(huge_png(30_000, 30_000))
    (tmp_path / "folder").mkdir()
    for name, reason in (
        ("text.png", "not an image"),
        ("half.png", "half.png"),
        ("huge.png", "more than 67,108,864 pixels"),
        ("folder", "without page"),
        ("missing.png", "No such file"),
    ):
        message = one_error(ctxbench("decode", name, "-c", codec, exit_code=1))
        assert reason in message
        assert name in message
    if codec != "render":
        assert one_error(ctxbench("decode", "whole.png", "-c", codec, exit_code=1))


def huge_png(width: int, height: int) -> bytes:
    """A small file that claims to be a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_context_files_that_are_no_text(ctxbench, tmp_path):
    """Latin-1, an empty folder and a missing file are told apart, each in one line."""
    (tmp_path / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (tmp_path / "void").mkdir()
    for name, reason in (("latin.txt", "byte 0xfc at position 2"), ("void", "holds no files"), ("none.txt", "No such file")):
        assert reason in one_error(ctxbench("encode", name, "-c", "text", "-o", "p", exit_code=1))
        assert reason in one_error(ctxbench("cost", name, exit_code=1))


def test_folders_where_files_should_be(ctxbench, tmp_path):
    """A folder as config or store, and a file as output folder, are one line each."""
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("x")
    assert "d" in one_error(ctxbench("run", "d", exit_code=2))
    assert "d" in one_error(ctxbench("run", "-m", "channel", "-n", "1", "-c", "text", "--store", "d", exit_code=1))
    assert "d" in one_error(ctxbench("sql", "SELECT 1", "--store", "d", exit_code=1))
    assert "is a file" in one_error(ctxbench("encode", "f", "-c", "text", "-o", "f", exit_code=1))
    assert "d" in one_error(ctxbench("decode", "d", "-c", "codebook", exit_code=1))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("run", "-c", "codebok"), "no codec named 'codebok'; did you mean 'codebook'"),
        (("run", "-c", "codebook:cel=3"), "has no option 'cel'; did you mean 'cell'"),
        (("run", "-b", "lots"), "expected a number of tokens"),
        (("run", "--set", "run.bacth=3"), "unknown key 'bacth'"),
        (("run", "-m", "no:thing"), "no model named 'no'"),
        (("run", "-m", "channel", "--adapter", "a"), "takes no adapter"),
        (("encode", "x", "-c", "nope", "-o", "p"), "no codec named 'nope'"),
    ],
)
def test_usage_errors_are_exit_code_2(ctxbench, args, message):
    """A command that cannot be meant is one line and exit code 2, and makes no store."""
    assert message in one_error(ctxbench(*args, exit_code=2))


@pytest.mark.parametrize("name", ["bomb.yaml", "tag.yaml"])
def test_hostile_configs(ctxbench, tmp_path, name):
    """YAML bombs and tags are refused with the file's name."""
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    (tmp_path / "bomb.yaml").write_text(bomb)
    (tmp_path / "tag.yaml").write_text('name: !!python/object/apply:os.system ["touch owned"]\n')
    assert name in one_error(ctxbench("run", name, exit_code=2))
    assert not (tmp_path / "owned").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a mount")
def test_a_full_disk_while_encoding(ctxbench, tmp_path):
    """Pages are written whole or not at all when the disk fills up."""
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.decode().strip()}")
    try:
        (tmp_path / "in.txt").write_text("some text that does not compress well: " + "".join(chr(33 + i * i % 90) for i in range(90_000)))
        message = one_error(ctxbench("encode", "in.txt", "-c", "text", "-o", "small/p", exit_code=1))
        assert "No space left" in message
        assert not [path for path in Path(small / "p").iterdir() if path.stat().st_size]
    finally:
        subprocess.run(["umount", str(small)], check=True)
