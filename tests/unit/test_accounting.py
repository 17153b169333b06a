"""What a trial costs: each term of each column, so that a dropped or doubled one shows."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import pytest

from ctxbench import TokenUsage, load_plugins, plain_text_hint, tokens
from ctxbench.config import TokenConfig, make_config
from ctxbench.engine import run
from ctxbench.engine.accounting import PageCost, TextCounts, account, disagrees, page_cost, page_markers
from ctxbench.records import ImageTokens

QWEN = TokenConfig()
COUNTS = TextCounts(context=600, carrier=0, words=20, plain_words=17, context_bytes=2400, payload_bytes=700)


def costs(config: TokenConfig, *sizes: tuple[int, int]) -> list[PageCost]:
    """Costs of pages of these sizes."""
    return [page_cost(config, size) for size in sizes]


def test_a_carrier_is_text_visual_tokens_and_markers():
    """Two pages of 4 and 6 visual tokens bring two markers each; the carrier's own text counts as well."""
    pages = costs(QWEN, (56, 56), (56, 84))
    cost = account(QWEN, attrs.evolve(COUNTS, carrier=7), pages, pages, None)
    assert (cost.carrier_text_tokens, cost.carrier_visual_tokens, cost.carrier_marker_tokens) == (7, 10, 4)
    assert cost.carrier_tokens == 21
    assert cost.compression_ratio == pytest.approx(600 / 21)
    assert cost.prompt_tokens == cost.formula_prompt_tokens == 20 + 21


def test_markers_depend_on_each_page_and_its_family():
    """SmolVLM marks 17 images and four rows of a page of 4 x 4 tiles, and one image of a single tile; LLaVA-1.5 nothing."""
    smol = TokenConfig(family="smolvlm")
    wide = costs(smol, (980, 980), (1960, 100))
    cost = account(smol, COUNTS, wide, wide, None)
    assert cost.carrier_marker_tokens == 39 + (2 * 4 + 1 + 3)
    assert cost.carrier_tokens == 64 * (17 + 5) + 51
    llava = TokenConfig(family="llava-1.5")
    assert account(llava, COUNTS, costs(llava, (980, 980)), [], None).carrier_marker_tokens == 0


def test_encoded_is_not_sent():
    """Augmentation enlarged the page: the ratio as encoded is that of the codec's page, the ratio as sent that of the larger one."""
    cost = account(QWEN, attrs.evolve(COUNTS, carrier=5), costs(QWEN, (112, 112)), costs(QWEN, (56, 56)), None)
    assert (cost.encoded_visual_tokens, cost.encoded_tokens) == (4, 5 + 4 + 2)
    assert (cost.carrier_visual_tokens, cost.carrier_tokens) == (16, 5 + 16 + 2)
    assert cost.encoded_ratio == pytest.approx(600 / 11)
    assert cost.compression_ratio == pytest.approx(600 / 23)


def test_what_the_processor_tells_replaces_the_formula_in_what_was_sent():
    """Visual tokens and the whole prompt are the processor's, markers its own only if it counts them; what was encoded stays formula."""
    pages = costs(QWEN, (56, 56))
    usage = TokenUsage(prompt=99, visual=5, pages=(5,), source="server")
    cost = account(QWEN, COUNTS, pages, pages, usage)
    assert (cost.carrier_visual_tokens, cost.carrier_marker_tokens, cost.carrier_tokens) == (5, 2, 7)
    assert (cost.prompt_tokens, cost.formula_prompt_tokens, cost.token_source) == (99, 26, "server")
    assert cost.encoded_tokens == 6
    told = account(QWEN, COUNTS, pages, pages, attrs.evolve(usage, markers=0))
    assert (told.carrier_marker_tokens, told.carrier_tokens) == (0, 5)


def test_one_page_that_loses_pixels_flags_the_trial():
    """A trial of which one page in three was scaled down is flagged; it is not if none was."""
    small, large = (56, 56), (2000, 2000)
    flagged = account(QWEN, COUNTS, costs(QWEN, small, large, small), [], None)
    assert flagged.token_flag == "budget_scaled"
    assert account(QWEN, COUNTS, costs(QWEN, small, small), [], None).token_flag is None
    assert account(QWEN, COUNTS, costs(QWEN, small), [], None, disagreement=True).token_flag == "count_mismatch"
    assert account(QWEN, COUNTS, costs(QWEN, large), [], None, disagreement=True).token_flag == "budget_scaled,count_mismatch"


def test_a_flag_never_takes_a_known_ratio_away():
    """Tiling families scale nearly every page, and their counts are exact: every ratio is there, flag or no flag."""
    for family in ("llava-1.5", "idefics3", "internvl2", "gpt-4o", "qwen2-vl"):
        config = TokenConfig(family=family)
        pages = costs(config, (2500, 2400))
        cost = account(config, COUNTS, pages, pages, None, disagreement=True)
        assert cost.token_flag == "budget_scaled,count_mismatch"
        assert cost.compression_ratio == pytest.approx(600 / cost.carrier_tokens)
        assert cost.encoded_ratio == pytest.approx(600 / cost.encoded_tokens)
        assert cost.prompt_ratio == pytest.approx(617 / (20 + cost.carrier_tokens))
    for family in ("idefics3", "smolvlm", "internvl2"):
        config = TokenConfig(family=family)
        assert account(config, COUNTS, costs(config, (980, 980)), [], None).token_flag is None


def test_the_text_prompt_has_the_hint_of_plain_text():
    """``prompt_ratio`` compares with the prompt that the text codec would send, not with this codec's hint before a text."""
    pages = costs(QWEN, (56, 56))
    cost = account(QWEN, COUNTS, pages, pages, None)
    assert cost.text_prompt_tokens == 17 + 600
    assert cost.prompt_ratio == pytest.approx(617 / 26)


def test_what_is_compression_and_what_is_pixels():
    """The bytes of the context and of the payload are passed on, a payload that is not told as NULL."""
    cost = account(QWEN, COUNTS, [], [], None)
    assert (cost.context_bytes, cost.payload_bytes) == (2400, 700)
    assert account(QWEN, attrs.evolve(COUNTS, payload_bytes=None), [], [], None).payload_bytes is None


def test_the_token_config_is_what_counted():
    """A row says whose rule counted, in which version, and with which budget, the family's own included."""
    cost = account(TokenConfig(max_pixels=401_408), COUNTS, [], [], None)
    version = tokens.counter("qwen2-vl").version
    assert cost.token_config == {
        "family": "qwen2-vl",
        "version": version,
        "min_pixels": 3136,
        "max_pixels": 401_408,
        "reference": "qwen2-vl",
    }
    assert account(TokenConfig(family="smolvlm"), COUNTS, [], [], None).token_config["longest_edge"] == 2048


def test_an_empty_carrier_has_no_ratio():
    """Nothing over nothing is NULL and no division by zero."""
    cost = account(QWEN, attrs.evolve(COUNTS, words=0), [], [], None)
    assert (cost.carrier_tokens, cost.compression_ratio, cost.encoded_ratio, cost.prompt_ratio) == (0, None, None, None)


def test_sources_disagree_page_by_page():
    """Two pages whose counts were swapped differ, though the sums are equal; without counts of pages the sum decides."""
    pages = costs(QWEN, (56, 56), (56, 84))
    assert not disagrees(TokenUsage(0, 10, (4, 6)), pages)
    assert disagrees(TokenUsage(0, 10, (6, 4)), pages)
    assert not disagrees(TokenUsage(0, 10), pages)
    assert disagrees(TokenUsage(0, 11), pages)


def test_sources_that_count_less_than_pages():
    """A sum with markers is compared with both; a whole prompt must have room for its pages; a server may not cut a text to half."""
    pages = costs(QWEN, (56, 56), (56, 84))
    markers = page_markers(QWEN, pages)
    assert markers == 4
    assert not disagrees(TokenUsage(30, 14, markers=0), pages, markers=markers)
    assert disagrees(TokenUsage(30, 10, markers=0), pages, markers=markers)
    assert not disagrees(TokenUsage(30, 10, markers=4), pages, markers=markers)
    assert disagrees(TokenUsage(30, 18, markers=4), pages, markers=markers)
    assert not disagrees(TokenUsage(14, None, source="server"), pages, markers=markers)
    assert disagrees(TokenUsage(13, None, source="server"), pages, markers=markers)
    assert not disagrees(TokenUsage(50, source="server"), [], text=100)
    assert disagrees(TokenUsage(49, source="server"), [], text=100)
    assert not disagrees(TokenUsage(49, source="processor"), [], text=100)


def test_what_is_not_said_of_a_prompt_is_not_held_against_its_source():
    """Without the formula's markers the pages alone need room, and a server's prompt is not too short for no text at all."""
    pages = costs(QWEN, (56, 56), (56, 84))
    assert not disagrees(TokenUsage(10, None), pages)
    assert disagrees(TokenUsage(9, None), pages)
    assert not disagrees(TokenUsage(0, source="server"), [])


def test_a_source_without_visual_tokens_leaves_them_to_the_formula():
    """The whole prompt is the server's count; the pages' part is the formula's, and so is the carrier's cost."""
    pages = costs(QWEN, (56, 84))
    cost = account(QWEN, COUNTS, pages, pages, TokenUsage(500, None, source="server"))
    assert (cost.prompt_tokens, cost.token_source, cost.carrier_visual_tokens, cost.carrier_marker_tokens) == (500, "server", 6, 2)


def test_resize_factor_is_below_one_where_a_page_shrinks():
    """Processed over page: the geometric mean of 1148/2000 and 840/1500; above one where a page is enlarged."""
    shrunk, grown = costs(QWEN, (2000, 1500), (28, 28))
    assert shrunk.resize_factor == pytest.approx(math.sqrt(1148 * 840 / (2000 * 1500)))
    assert 0.5 < shrunk.resize_factor < 0.6
    assert grown.resize_factor == pytest.approx(2.0)
    assert PageCost(100, 50, ImageTokens(1, 50, 100)).resize_factor == pytest.approx(1.0)


def stored(tmp_path: Path, name: str, **changes: object) -> dict[str, dict[str, object]]:
    """One needle in three codecs: the stored row of each."""
    settings = {"models": ["mock"], "tasks": ["needle"], "buckets": [128], "samples": 1, "codecs": ["text", "render", "codebook"]}
    here = {"channel": False, "executor": {"name": "local", "workers": 0}}
    made = make_config({**settings, "store": str(tmp_path / f"{name}.duckdb"), "run": here, **changes})
    with run(made) as store:
        frame = store.df("trials")
    return {row["codec"]: row for row in frame.to_dict("records")}


def test_the_stored_row_follows_from_prompt_and_pages(tmp_path):
    """The system message is in every prompt; the text codec's prompt is what the others are compared with."""
    system = "You are a careful reader. Answer with the value alone."
    rows, without = stored(tmp_path, "a", system=system), stored(tmp_path, "b")
    extra = tokens.count_text(system)
    for codec, row in rows.items():
        assert row["formula_prompt_tokens"] == without[codec]["formula_prompt_tokens"] + extra
        assert row["text_prompt_tokens"] == without[codec]["text_prompt_tokens"] + extra
        assert row["carrier_tokens"] == without[codec]["carrier_tokens"]
        assert row["text_prompt_tokens"] == rows["text"]["formula_prompt_tokens"]
        words = tokens.count_text(row["prompt"]) if codec != "text" else None
        if words is not None:
            assert row["formula_prompt_tokens"] == words + extra + row["carrier_tokens"]
    assert rows["text"]["prompt_ratio"] == rows["text"]["compression_ratio"] == rows["text"]["encoded_ratio"] == 1.0
    assert rows["text"]["context_bytes"] == rows["text"]["payload_bytes"] == rows["render"]["payload_bytes"]
    assert rows["codebook"]["payload_bytes"] < rows["codebook"]["context_bytes"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_core_and_the_text_codec_say_the_same(language):
    """The plain-text prompt of every ratio is the prompt that the text codec sends."""
    assert load_plugins().codec("text").hint(language) == plain_text_hint(language)
    assert plain_text_hint("en") != plain_text_hint("zh")


TEXT = '{"name": "Ada Lovelace", "born": 1815, "tags": ["mathematics", "computing"]}\n' * 40
SIZE = len(TEXT.encode())


@pytest.mark.parametrize(
    ("codec", "options", "least", "most"),
    [
        ("text", {}, SIZE, SIZE),
        ("render", {}, SIZE, SIZE),
        ("codebook", {"compression": "raw"}, SIZE, SIZE),
        ("codebook", {}, 20, SIZE // 10),
        ("codebook", {"preset": "aligned"}, SIZE, SIZE),
        ("codebook", {"preset": "aligned", "symbol": "dictionary"}, SIZE // 5, SIZE * 3 // 4),
        ("codebook_external", {}, SIZE, SIZE),
        ("codebook_external", {"compression": "zlib"}, 20, SIZE // 10),
    ],
)
def test_every_codec_reports_its_payload(codec, options, least, most):
    """The bytes after the codec's own compression, without its error correction; uncompressed, those of the context."""
    payload = load_plugins().codec(codec, **options).encode(TEXT).payload_bytes
    assert payload is not None
    assert least <= payload <= most


def test_a_dictionary_code_is_twelve_bits():
    """The payload of aligned pages is that of their codes."""
    carrier = load_plugins().codec("codebook", preset="aligned", symbol="dictionary").encode("ééé")  # no entry: a code a byte
    assert carrier.payload_bytes == 9
