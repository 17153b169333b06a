"""Family and pixel budget of the model are those that count, unless a config names others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from PIL import Image

from ctxbench import (
    Carrier,
    Codec,
    CodecRecord,
    ConfigError,
    ImageTokens,
    Model,
    ModelRecord,
    Prompt,
    Reading,
    Sample,
    Task,
    TaskRecord,
    TokenCounter,
    TokenCounterRecord,
    TokenUsage,
)
from ctxbench.config import TokenConfig, make_config
from ctxbench.engine import run
from ctxbench.resolving import resolve
from ctxbench.session import Session
from ctxbench.token_rules import rules_for


@attrs.frozen
class Squares(TokenCounter):
    """A token for each 10 x 10 px, of at most ``max_pixels``."""

    min_pixels: int = 100
    max_pixels: int = 1000

    def image(self, width: int, height: int) -> ImageTokens:
        pixels = min(width * height, self.max_pixels)
        return ImageTokens(pixels // 100, width, height, pixels < width * height)


class Flat(TokenCounter):
    """Seven tokens an image, whatever its size."""

    def text(self, text: str) -> int:
        return len(text)

    def image(self, width: int, height: int) -> ImageTokens:
        return ImageTokens(7, width, height)


class Asks(Task):
    sized = False

    def sample(self, bucket: int, seed: int) -> Sample:
        return Sample("a" * 100, "?", "x", bucket)

    def solve(self, context: str, question: str) -> str:
        return "x"


class Page(Codec):
    can_decode = False

    def encode(self, text: str) -> Carrier:
        return Carrier(pages=(Image.new("RGB", (100, 50), "gray"),))


@attrs.frozen
class Reader(Model):
    """A model of a family, whose processor has a pixel budget of its own and counts by it."""

    kin: str = "squares"
    budget: int | None = 10_000

    @property
    def family(self) -> str:  # type: ignore[override]
        return self.kin

    @property
    def pixel_budget(self) -> tuple[int | None, int | None]:
        return (None, self.budget)

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        visual = min(5000, self.budget or 1000) // 100 if self.kin == "squares" else 7
        return [Reading("x", usage=TokenUsage(visual + 3, visual, (visual,))) for _ in prompts]


RECORDS = (
    TokenCounterRecord("squares", "s", Squares),
    TokenCounterRecord("flat", "s", Flat),
    TaskRecord("asks", "s", Asks),
    CodecRecord("page", "s", Page),
    ModelRecord("reader", "s", Reader),
)
WIDE = {"name": "reader", "label": "wide"}
NARROW = {"name": "reader", "label": "narrow", "budget": 2000}
OTHER = {"name": "reader", "label": "other", "kin": "flat", "budget": None}


def config(tmp_path: Path, *models: dict[str, Any], **tokens: Any) -> Any:
    """One trial a model."""
    return make_config(
        {
            "models": list(models),
            "tasks": ["asks"],
            "codecs": ["page"],
            "buckets": [100],
            "samples": 1,
            "tokens": {"reference": "flat", **tokens},
            "store": str(tmp_path / "s.duckdb"),
            "run": {"channel": False, "executor": {"name": "local", "workers": 0}},
        }
    )


def counted(tmp_path: Path, *models: dict[str, Any], **tokens: Any) -> dict[str, tuple[Any, ...]]:
    """Of each model: family, largest page, tokens by the formula and by the processor, flag, and the page's own row."""
    with run(config(tmp_path, *models, **tokens), components=RECORDS) as store:
        rows = store.query(
            "SELECT model, token_family, token_config->>'max_pixels', encoded_visual_tokens, carrier_visual_tokens, token_flag, "
            "budget_scaled FROM trials JOIN pages USING (trial_id)"
        ).rows
    return {row[0]: tuple(row[1:]) for row in rows}


def test_the_models_own_family_and_budget_count(tmp_path: Path) -> None:
    """The family's own budget of 1,000 px would shrink the page to 10 tokens in the formula alone, and flag what was never rescaled."""
    assert counted(tmp_path, WIDE) == {"wide": ("squares", "10000", 50, 50, None, False)}


def test_each_model_of_a_run_is_counted_by_its_own_rules(tmp_path: Path) -> None:
    """The pages are prepared once for all; no model's counts may be another's."""
    assert counted(tmp_path, WIDE, NARROW, OTHER) == {
        "wide": ("squares", "10000", 50, 50, None, False),
        "narrow": ("squares", "2000", 20, 20, "budget_scaled", True),
        "other": ("flat", None, 7, 7, None, False),
    }


def test_what_the_config_sets_stays(tmp_path: Path) -> None:
    """A family set by name counts for all models; a budget set by number replaces the model's, and the difference is flagged."""
    assert counted(tmp_path, WIDE, OTHER, family="flat") == {
        "wide": ("flat", None, 7, 50, None, False),
        "other": ("flat", None, 7, 7, None, False),
    }
    again = tmp_path / "again"
    again.mkdir()
    assert counted(again, WIDE, max_pixels=3000) == {"wide": ("squares", "3000", 30, 50, "budget_scaled,count_mismatch", True)}


@pytest.mark.parametrize(("own", "set_", "counts"), [((400, 2000), None, 400), ((400, 2000), 500, 500), ((None, 2000), 500, 500)])
def test_the_smaller_bound_of_the_budget_is_the_models_too(own: tuple[int | None, int], set_: int | None, counts: int) -> None:
    """A small page is enlarged to it, so that it decides what short contexts cost."""

    class Bounded(Reader):
        pixel_budget = property(lambda self: own)

    session = Session.of(components=RECORDS)
    with session.active():
        assert rules_for(Bounded("squares"), TokenConfig(min_pixels=set_), session).min_pixels == counts


def test_trials_are_told_apart_by_the_rules_that_count_them(tmp_path: Path) -> None:
    """A budget that is the model's own and the same one in the config are one experiment; another is another."""

    def cell(**tokens: Any) -> str:
        return next(resolve(config(tmp_path, WIDE, **tokens), Session.of(components=RECORDS)).cells()).id

    assert cell() == cell(family="squares") == cell(family="squares", max_pixels=10_000)
    assert len({cell(), cell(family="flat"), cell(max_pixels=3000)}) == 3


def test_a_family_that_nothing_counts_is_counted_by_the_reference(tmp_path: Path) -> None:
    """A model may name a family whose plugin is not installed: that must not end the run."""
    assert counted(tmp_path, {**OTHER, "kin": "unheard-of"})["other"][0] == "qwen2-vl"


def test_a_budget_for_a_family_without_one_is_an_error(tmp_path: Path) -> None:
    """It would be ignored without a word."""
    with pytest.raises(ConfigError, match=r"^models\[0\]: .*max_pixels"):
        resolve(config(tmp_path, OTHER, max_pixels=3000), Session.of(components=RECORDS))
