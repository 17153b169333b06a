"""Pages of the codebook that share a code word: a long text, its order, lost and damaged pages, and what does not belong together."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image

import ctxbench
from ctxbench import Carrier, DecodeError
from ctxbench_codebook import header
from ctxbench_codebook.codec import PRESETS, Codebook
from ctxbench_codebook.header import Header
from ctxbench_codebook.layout import Layout, draw

LONG = np.random.default_rng(8).integers(32, 127, 12_000, np.uint8).tobytes().decode()
SMALL = Codebook(preset="paper_pages", page=224, compression="raw")


def read(*pages: Image.Image) -> str:
    return Codebook().decode(Carrier(pages=list(pages)))


@pytest.mark.parametrize(("size", "count"), [(0, 1), (600, 1), (1_500, 2), (6_000, 7), (12_000, 13)])
def test_long_texts_share_code_words(size, count):
    """A text that fits on one page is one of version 2; longer ones are groups of eight pages and what is left. Any order will do."""
    pages = SMALL.encode(LONG[:size]).pages
    assert [page.size for page in pages] == SMALL.page_sizes(LONG[:size])
    assert len(pages) == count
    shuffled = [pages[i] for i in np.random.default_rng(size).permutation(len(pages))]
    assert read(*shuffled) == LONG[:size]
    if len(pages) > 8:
        assert {page.size for page in pages[:8]} == {(224, 224)}
        assert len({page.size for page in pages[8:]}) == 1


def test_a_lost_page_is_made_up_for():
    """Whichever it is; of three of seven the code word is lost, and its pages are named."""
    codec = Codebook(preset="paper_pages", page=224, parity=80, compression="raw")
    text = LONG[:5_500]
    pages = codec.encode(text).pages
    assert len(pages) == 7
    for lost in (0, 5, 6):
        assert read(*pages[:lost], *pages[lost + 1 :]) == text
    with pytest.raises(DecodeError, match=r"pages 1 to 7: too many errors: .* are not satisfied \(without page 1, 2, 3\)"):
        read(*pages[3:])


def test_pages_share_their_luck():
    """One page that would be lost on its own, at the same rate, is read with the help of those that are sharp."""
    heavy = ctxbench.load_plugins().augmenter("heavy", order="camera", scale=0.7)
    pages = Codebook(preset="camera_pages", page=308, compression="raw").encode(LONG[:9_500]).pages
    assert len(pages) == 6
    damaged = heavy.apply(pages[2], np.random.default_rng(3))
    assert read(*pages[:2], damaged, *pages[3:]) == LONG[:9_500]
    alone = Codebook(preset="camera", cell=4, colors=32, parity=85, page=308, compression="raw").encode(LONG[:1_400]).pages
    with pytest.raises(DecodeError, match="too many errors"):
        read(*(heavy.apply(page, np.random.default_rng(3)) for page in alone))


def test_pages_of_several_documents_are_told_apart():
    """They share no code word, whatever their headers say."""
    first, second = (SMALL.encode(text).pages for text in (LONG[:3_000], LONG[3_000:6_000]))
    with pytest.raises(DecodeError, match=r"no page of a codebook could be read \(pages 1 to 4: too many errors"):
        read(*first[:2], *second[2:])
    with pytest.raises(DecodeError, match="belong to 2 different documents"):
        read(*first, *second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 5}, "pages 1 to 2: their headers contradict each other"),
        ({"page": 2}, "page 3: the header names more bytes than the page can hold"),
        ({"length": 60_000}, "page 1: the header names more bytes than the page can hold"),
    ],
    ids=str,
)
def test_headers_that_lie_are_refused(change, message):
    """A page's number is below the number of pages, its code word holds what it names, and pages of one code word agree."""
    honest = SMALL.encode(LONG[:1_500]).pages
    width, height = honest[0].size
    head = {
        "cell": 4,
        "bits": 5,
        "parity": 82,
        "compression": 0,
        "page": 0,
        "pages": 2,
        "length": 1_500,
        "document": 0,
        "squares": height // 28,
    }
    head["document"] = zlib.crc32(LONG[:1_500].encode())
    layout = Layout(width, height, 4, 32)
    symbols = np.random.default_rng(0).integers(0, 32, layout.data_cells, np.uint8)
    liar = Image.fromarray(draw(layout, header.to_bits(Header(**{**head, **change}, version=header.SHARED)), symbols))
    with pytest.raises(DecodeError, match=message):
        read(liar, honest[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parity_page": True}, "parity_page is not for the preset camera_pages"),
        ({"page": 3584}, "8 pages of 3584 px cannot share a code word in cells of 4 px: it has at most 4,194,304 bits"),
        ({"symbol": "bpe"}, "symbol must be byte except with the preset aligned"),
    ],
    ids=str,
)
def test_options_are_checked(options, message):
    """The message names the option."""
    with pytest.raises(ValueError, match=message):
        Codebook(preset="camera_pages", **options)


def test_parity_is_that_of_all_numbers_of_pages():
    """Given, it holds for two pages as for eight; by default fewer pages have more."""
    assert Codebook(preset="camera_pages", parity=50)._pages.parity == (50,) * 7
    assert Codebook(preset="camera_pages")._pages.parity[-1] == PRESETS["camera_pages"]["parity"]
    assert list(SMALL._pages.parity) == sorted(SMALL._pages.parity, reverse=True)
