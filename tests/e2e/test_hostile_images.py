"""Files that are small and dear: ``decode`` reads or refuses each within 1 GB of memory, and never without end or with a traceback.

CPU seconds differ from machine to machine: here each command only has to end within 60.
``python -m benchmarks.hostile_images`` prints them.
"""

from __future__ import annotations

import sys

import pytest

from benchmarks import hostile_files, hostile_images

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted otherwise elsewhere")

QUICK = (
    ("line-1000000x60.png", "codebook"),
    ("line-100000000x1.png", "codebook_external"),
    ("pages.png", "codebook"),
    ("broken-soft-2px-16.png", "codebook"),
    ("broken-soft-pages.png", "codebook"),
    ("noise.png", "codebook_external"),
    ("finders.png", "codebook_external"),
    ("qr-40.png", "codebook"),
    ("text-bomb.png", "codebook"),
    ("progressive.jpg", "codebook_external"),
)
LONG = [(name, codec) for name in hostile_files.FILES for codec in hostile_images.CODECS if (name, codec) not in QUICK]


def check(tmp_path, name: str, codec: str) -> None:
    file = tmp_path / name
    file.write_bytes(hostile_files.FILES[name]())
    cost = hostile_images.decode(file, codec, "--max-seconds", "60")
    assert cost.code in (0, 1), cost.error
    assert cost.peak < hostile_images.MOST_BYTES
    assert "--max-seconds" not in cost.error
    if cost.code == 1:
        assert cost.text == b""
        assert len(cost.error.splitlines()) == 1, cost.error
        assert cost.error.startswith("error: ")
    else:
        assert cost.text.decode() == hostile_files.TEXT


@pytest.mark.parametrize(("name", "codec"), QUICK)
def test_the_worst(tmp_path, name, codec):
    """One of each: a long line, many pages, a broken page of either reader, noise, finders, bent sides, a bomb, a progressive JPEG."""
    check(tmp_path, name, codec)


@pytest.mark.long
@pytest.mark.parametrize(("name", "codec"), LONG)
def test_every_other(tmp_path, name, codec):
    """All files with all page codecs."""
    check(tmp_path, name, codec)


def test_a_bound_can_be_raised_and_lowered(ctxbench, tmp_path):
    """``--max-pixels`` moves both bounds."""
    from ctxbench_codebook.codec import Codebook

    page = Codebook().encode("a text").pages[0]
    page.save(tmp_path / "page.png")
    assert ctxbench("decode", "page.png", "-c", "codebook").stdout == "a text"
    pixels = page.width * page.height
    assert ctxbench("decode", "page.png", "-c", "codebook", "--max-pixels", pixels).stdout == "a text"
    done = ctxbench("decode", "page.png", "-c", "codebook", "--max-pixels", pixels - 1, exit_code=1)
    assert f"page.png: {page.width} x {page.height} px is more than {pixels - 1:,} pixels" in done.stderr
    (tmp_path / "long.png").write_bytes(hostile_files.even(20_000, 1))
    assert "a side of more than 16,384 px" in ctxbench("decode", "long.png", "-c", "codebook", exit_code=1).stderr
    done = ctxbench("decode", "long.png", "-c", "codebook", "--max-pixels", 2 * hostile_files.SIDE**2, exit_code=1)
    assert "no frame of a codebook page" in done.stderr


def test_time_is_bounded(ctxbench, tmp_path):
    """With one line that says what to do."""
    (tmp_path / "dear.png").write_bytes(hostile_files.FILES["white.png"]())
    done = ctxbench("decode", "dear.png", "-c", "codebook", "--max-seconds", 1, exit_code=1)
    assert done.stderr.splitlines() == ["error: dear.png: not read within 1 CPU seconds; raise --max-seconds if these are pages"]
