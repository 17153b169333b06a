"""Models come and go: planned by name, held one at a time, shared where they share, and blind to the answer."""

from __future__ import annotations

import attrs
import pytest
from engine_parts import config, rows

from ctxbench import Carrier, Codec, CodecRecord, ConfigError, Model, ModelRecord, Prompt
from ctxbench.engine import RunReport, run

LOADING = """
@attrs.frozen
class Heavy(Model):
    base: str = ""
    mark: str = ""
    held: dict = attrs.field(factory=dict, init=False, eq=False)
    @property
    def shares(self): return self.base or None
    def read(self, prompts):
        if not self.held:
            self.held["weights"] = 1
            note_heavy("load " + self.base)
        note_heavy(f"read {self.base} {len(prompts)}")
        return [Reading(p.text.split()[-1]) for p in prompts]
    def close(self):
        if self.held:
            note_heavy("close " + self.base)
        self.held.clear()
def note_heavy(word):
    with open(os.environ["PARTS_LOG"], "a") as file: file.write(word + "\\n")
@hookimpl
def ctxbench_models(): yield ModelRecord("heavy", "s", Heavy)
"""


def models(*names: str, base: str = "") -> list[dict[str, str]]:
    """Models of these names in a config, as plain values."""
    return [{"name": "heavy", "label": name, "base": base or name} for name in names]


def test_one_model_is_held_at_a_time_and_nothing_is_prepared_twice(parts, bad_parts, tmp_path):
    """Two models take turns over a block that is kept on disk; pages are encoded once, and the rows are those of both held at once."""
    bad_parts(LOADING)
    settings = {"models": models("a", "b"), "samples": 3}
    with run(config(tmp_path, **settings)) as store:
        one = rows(store, "model, prediction, outcome", "model, trial_id")
    calls = parts()
    assert [call for call in calls if call.startswith(("load", "close"))] == ["load a", "close a", "load b", "close b"]
    assert calls.count("encode") == 3
    (tmp_path / "both").mkdir()
    with run(config(tmp_path / "both", **settings, run={"models_held": 2})) as store:
        assert rows(store, "model, prediction, outcome", "model, trial_id") == one
    assert [call for call in parts()[len(calls) :] if call.startswith(("load", "close"))] == ["load a", "load b", "close a", "close b"]


def test_turns_alternate_over_blocks_without_loading_more_than_needed(parts, bad_parts, tmp_path):
    """With a tiny spool every block is small; the model that read last begins the next block."""
    bad_parts(LOADING)
    from ctxbench.engine import answers

    size = answers.MEGABYTE
    answers.MEGABYTE = 100
    try:
        with run(config(tmp_path, models=models("a", "b"), samples=3, run={"spool_mb": 1})) as store:
            assert rows(store, "DISTINCT outcome") == [("correct",)]
            assert len(rows(store, "trial_id")) == 12
    finally:
        answers.MEGABYTE = size
    loads = [call for call in parts() if call.startswith(("load", "close"))]
    assert loads == ["load a", "close a", "load b", "close b", "load a", "close a", "load b", "close b"]
    assert parts().count("encode") == 3


def test_models_that_share_their_weights_count_once(parts, bad_parts, tmp_path):
    """A base and its adapters are held together: they read side by side, and no model is closed before the end."""
    bad_parts(LOADING)
    wanted = [{"name": "heavy", "label": "x", "base": "one"}, {"name": "heavy", "label": "y", "base": "one", "mark": "y"}]
    with run(config(tmp_path, models=wanted, samples=1, augmentations=["clean"])) as store:
        assert rows(store, "outcome") == [("correct",)] * 2
    loads = [call.split()[0] for call in parts() if call.startswith(("load", "close"))]
    assert loads == ["load", "load", "close", "close"]


def test_no_model_is_told_the_answer(parts, bad_parts, tmp_path):
    """A prompt has pages, text, system message and a number of tokens; what the channel answers goes to models that stand for it alone."""
    assert {field.name for field in attrs.fields(Prompt)} == {"pages", "text", "system", "max_new_tokens", "channel"}
    seen: list[Prompt] = []

    @attrs.frozen
    class Nosy(Model):
        def read(self, prompts):
            from ctxbench import Reading

            seen.extend(prompts)
            return [Reading("") for _ in prompts]

    with run(config(tmp_path, models=["nosy"], system="Be brief."), components=[ModelRecord("nosy", "s", Nosy)]) as store:
        assert rows(store, "DISTINCT error_message") == [(None,)]
    assert len(seen) == 4
    for prompt in seen:
        assert prompt.channel is None
        assert prompt.system == "Be brief."
        assert prompt.max_new_tokens is not None
        assert prompt.max_new_tokens >= 32


def test_a_component_of_this_process_takes_part(tmp_path):
    """A codec of a notebook, in no plugin, is encoded in worker processes and decoded in theirs."""

    @attrs.frozen
    class Local(Codec):
        mark: str = "~"

        def encode(self, text):
            return Carrier(text=self.mark + text)

        def decode(self, carrier):
            return carrier.text[len(self.mark) :]

    settings = {"models": ["channel"], "tasks": ["needle"], "codecs": [{"name": "local", "mark": "<>"}, "text"], "augmentations": ["clean"]}
    report = RunReport()
    workers = {"executor": {"name": "local", "workers": 2}}
    with run(config(tmp_path, **settings, run=workers), components=[CodecRecord("local", "s", Local)], report=report) as store:
        found = rows(store, "codec, outcome, channel_ok, codec_config, codec_version", "codec, sample_index")
    assert [row[:3] for row in found] == [("local", "correct", True)] * 2 + [("text", "correct", True)] * 2
    assert found[0][3].replace(" ", "") == '{"mark":"<>"}'
    assert found[0][4].startswith("0+")
    with pytest.raises(ConfigError, match="codec 'text' is offered by ctxbench-text already"):
        run(config(tmp_path, **settings), components=[CodecRecord("text", "s", Local)])
    with pytest.raises(ConfigError, match="expected records such as CodecRecord"):
        run(config(tmp_path, **settings), components=[Local()])


def test_a_registry_of_ones_own_is_the_one_that_is_used(parts, tmp_path):
    """Workers, decoders and token counting use the registry that was given, not the installed plugins behind its back."""
    from ctxbench import ImageTokens, TokenCounter, TokenCounterRecord
    from ctxbench.plugin import Origin
    from ctxbench.registry import load_plugins
    from ctxbench.session import extended

    @attrs.frozen
    class Cheap(TokenCounter):
        source = "a test"

        def text(self, text):
            return len(text)

        def image(self, width, height):
            return ImageTokens(1, width, height)

    record = TokenCounterRecord("cheap", "s", Cheap)
    registry = extended(load_plugins(), [(record, Origin("mine", "mine-dist", "2.0"))])
    settings = {"tokens": {"family": "cheap", "reference": "cheap"}, "samples": 1, "augmentations": ["clean"]}
    for workers in (0, 1):
        folder = tmp_path / str(workers)
        folder.mkdir()
        wanted = config(folder, **settings, run={"executor": {"name": "local", "workers": workers}})
        with run(wanted, registry=registry) as store:
            ((reference, visual, expected),) = rows(store, "reference_tokens, carrier_visual_tokens, expected")
        assert (reference, visual) == (len(f"the number is {expected}"), 1)
