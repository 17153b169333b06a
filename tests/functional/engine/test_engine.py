"""The engine: every exception becomes a row, work is shared, a re-run adds nothing, order changes nothing."""

from __future__ import annotations

import importlib

import pytest
from engine_parts import PARTS, config, rows

from ctxbench import ConfigError, CtxbenchError, plain_text_hint
from ctxbench.engine import RunReport, preview, run
from ctxbench.registry import load_plugins


@pytest.mark.parametrize(
    ("changes", "stage", "kind", "message"),
    [
        ({"tasks": [{"name": "ask", "fail": True}]}, "sample", "KeyError", "'no words'"),
        ({"codecs": [{"name": "dot", "fail": "encode"}]}, "encode", "ValueError", "cannot encode this"),
        ({"augmentations": [{"name": "noise", "fail": True}]}, "augment", "RuntimeError", "lens cap on"),
        ({"codecs": [{"name": "dot", "fail": "channel"}]}, "channel", "ZeroDivisionError", "a bug"),
        ({"models": [{"name": "picky", "how": "raise"}]}, "read", "RuntimeError", "no memory"),
        ({"models": [{"name": "picky", "how": "short"}]}, "read", "ValueError", "0 readings for"),
        ({"metrics": [{"name": "same", "fail": True}]}, "score", "ArithmeticError", "cannot score"),
    ],
)
def test_an_exception_anywhere_is_a_row(parts, tmp_path, changes, stage, kind, message):
    """Whichever plugin raises, the run goes on, and the row names stage, type and message."""
    report = RunReport()
    with run(config(tmp_path, **changes), report=report) as store:
        found = rows(store, "status, error_stage, error_type, error_message, outcome")
    assert len(found) == report.planned == report.errors
    assert report.all_failed
    for status, error_stage, error_type, error_message, outcome in found:
        assert (status, error_stage, error_type, outcome) == ("error", stage, kind, None)
        assert message in error_message


def test_one_bad_reading_does_not_spoil_its_batch(parts, tmp_path):
    """A reading that carries an error fails its own trial; the batch's others are scored."""
    with run(config(tmp_path, models=[{"name": "picky", "how": "one"}], run={"batch_size": 4})) as store:
        found = rows(store, "status, error_type")
    assert found.count(("error", "TooLong")) == 1
    assert found.count(("ok", None)) == 3


def test_work_is_shared(parts, tmp_path):
    """One encode for each (sample, codec), one augmentation and one channel decode for each level, whatever the number of models."""
    models = ["picky", {"name": "picky", "label": "picky-2", "how": "other"}, "channel"]
    with run(config(tmp_path, models=models)) as store:
        assert len(rows(store, "trial_id")) == 2 * 2 * 3
    calls = parts()
    assert calls.count("encode") == 2
    assert calls.count("augment") == 2  # clean is not one of ours
    assert calls.count("decode") == 4


def test_all_models_see_identical_pixels(parts, tmp_path):
    """The page hash depends on sample, codec and augmentation, and on nothing else."""
    models = ["picky", {"name": "picky", "label": "picky-2", "how": "other"}]
    with run(config(tmp_path, models=models)) as store:
        found = store.query(
            "SELECT sample_index, augmentation, count(DISTINCT sha256), count(*) FROM trials JOIN pages USING (trial_id) GROUP BY ALL"
        ).rows
        hashes = store.query("SELECT count(DISTINCT sha256) FROM trials JOIN pages USING (trial_id) WHERE augmentation = 'noise'").rows[0][
            0
        ]
    assert {tuple(row[2:]) for row in found} == {(1, 2)}
    assert hashes == 2


def test_a_second_run_adds_nothing_and_a_larger_one_only_the_rest(parts, tmp_path):
    """Finished trials are found by id; more samples add only the new ones."""
    with run(config(tmp_path)) as store:
        first = set(rows(store, "trial_id"))
    report = RunReport()
    with run(config(tmp_path), report=report) as store:
        assert set(rows(store, "trial_id")) == first
        assert len(store.query("SELECT * FROM runs").rows) == 1
    assert (report.planned, report.stored_before, report.finished) == (4, 4, 0)
    report = RunReport()
    with run(config(tmp_path, samples=3), report=report) as store:
        assert first < set(rows(store, "trial_id"))
    assert (report.planned, report.stored_before, report.finished) == (6, 4, 2)


def test_what_decides_an_outcome_makes_another_trial(parts, tmp_path):
    """Seed, any component's option and the counting rules change the ids; labels, batch size and metrics do not."""

    def ids(**changes) -> set[str]:
        from ctxbench.resolving import resolve
        from ctxbench.session import Session

        return {trial.trial_id for trial in resolve(config(tmp_path, **changes), Session.of()).trials()}

    base = ids()
    for changes in (
        {"seed": 1},
        {"codecs": [{"name": "dot", "color": "blue"}]},
        {"models": [{"name": "picky", "how": "other"}]},
        {"system": "Be brief."},
        {"tokens": {"max_pixels": 10_000}},
        {"buckets": [65]},
    ):
        assert not base & ids(**changes), changes
    assert ids(run={"batch_size": 1}) == base
    assert ids(metrics=["same", "length"]) == base
    assert ids(codecs=[{"name": "dot", "label": "point"}]) == base


def test_new_metrics_score_stored_predictions(parts, tmp_path):
    """Asking for another metric scores what is stored; no model, codec or augmenter runs again."""
    with run(config(tmp_path)):
        pass
    before = parts()
    report = RunReport()
    with run(config(tmp_path, metrics=["same", "length"]), report=report) as store:
        assert len(store.query("SELECT * FROM scores WHERE name = 'length'").rows) == 4
    assert (report.rescored, report.finished) == (4, 0)
    assert parts() == before
    with run(config(tmp_path, metrics=["same", "length"]), report=report):
        assert report.rescored == 0


def test_errors_are_kept_until_they_are_retried(parts, tmp_path):
    """A stored error is not run again by itself; ``retry_errors`` replaces it, so that no trial is there twice."""
    bad = {"metrics": [{"name": "same", "fail": True}]}
    with run(config(tmp_path, **bad)):
        pass
    report = RunReport()
    with run(config(tmp_path), report=report):
        assert report.finished == 0
    with run(config(tmp_path, run={"retry_errors": True}), report=report) as store:
        assert rows(store, "status, outcome") == [("ok", "correct")] * 4


def test_fail_fast_keeps_what_it_had(parts, tmp_path):
    """The first failure stops the run with its reason; rows up to it are stored."""
    with pytest.raises(CtxbenchError, match=r"first failure.*encode: ValueError: cannot encode this"):
        run(config(tmp_path, codecs=["dot", {"name": "dot", "label": "bad", "fail": "encode"}], run={"fail_fast": True}))
    from ctxbench.store import Store

    with Store.open_read_only(tmp_path / "s.duckdb") as store:
        assert ("error",) in rows(store, "status")
        assert store.query("SELECT status FROM runs").rows[0][0] == "failed"


def test_a_plan_fails_before_anything_runs(parts, tmp_path):
    """A component that is missing or refuses its options is an error with its key path, and no store is made."""
    for changes, message in (
        ({"codecs": ["dot", "doot"]}, r"codecs\[1\]: no codec named 'doot'; did you mean 'dot'"),
        ({"codecs": [{"name": "dot", "colour": "red"}]}, r"codecs\[0\]: codec 'dot' has no option 'colour'; did you mean 'color'"),
        ({"models": ["pickey"]}, r"models\[0\]: no model named 'pickey'; did you mean 'picky'"),
        ({"adapters": ["a"]}, r"models\[0\]: model 'picky' takes no adapter, but was given 'a'"),
        ({"models": ["picky:ref"]}, r"models\[0\]: model 'picky' takes no reference"),
        ({"metrics": ["sam"]}, r"metrics\[0\]: no metric named 'sam'"),
        ({"tokens": {"family": "qwen"}}, r"tokens.family: no token_counter named 'qwen'"),
        ({"run": {"executor": {"name": "local", "workers": -1}}}, r"run.executor\[0\]: executor 'local': workers must be"),
    ):
        with pytest.raises(ConfigError, match=message):
            run(config(tmp_path, **changes))
    assert not (tmp_path / "s.duckdb").exists()


def test_preview_counts_without_running(parts, tmp_path):
    """A dry run resolves everything, reads the store if there is one, and makes nothing."""
    assert preview(config(tmp_path))["to_run"] == 4
    assert not (tmp_path / "s.duckdb").exists()
    with run(config(tmp_path)):
        pass
    before = parts()
    assert preview(config(tmp_path, samples=3))["to_run"] == 2
    assert parts() == before


def test_the_channel_model_says_why_it_is_silent(parts, tmp_path):
    """Where the decoder gives up, the channel model abstains, and the row says what the decoder said."""
    with run(config(tmp_path, models=["channel"])) as store:
        found = rows(store, "outcome, prediction, channel_ok, channel_cer, channel_error")
    assert found == [("abstained", "", False, 1.0, "a dot holds no text")] * 4


def test_failures_keep_their_pages(parts, tmp_path):
    """``images: failures`` keeps the pages of trials that failed or were answered wrong, once each, and none of the others."""
    with run(config(tmp_path, models=[{"name": "picky", "how": "raise"}], run={"images": "failures"})) as store:
        stored = {row[0] for row in store.query("SELECT path FROM pages").rows}
    files = {str(path.relative_to(tmp_path / "s.duckdb.pages")) for path in (tmp_path / "s.duckdb.pages").rglob("*.png")}
    assert None not in stored
    assert stored == files
    assert len(files) == 3  # two samples have one clean page between them, as both are one colour
    (tmp_path / "right").mkdir()
    with run(config(tmp_path / "right", run={"images": "failures"})) as store:
        assert {row[0] for row in store.query("SELECT path FROM pages").rows} == {None}


def test_switching_the_channel_off(parts, tmp_path):
    """Without the channel stage no decoder runs, unless a model cannot do without it."""
    with run(config(tmp_path, run={"channel": False})) as store:
        assert rows(store, "channel_ok, channel_cer") == [(None, None)] * 4
    assert "decode" not in parts()
    with run(config(tmp_path, models=["channel"], run={"channel": False})):
        assert parts().count("decode") == 4


def test_batches_are_as_large_as_asked(parts, tmp_path):
    """``batch_size`` prompts are read at once, the rest at the end."""
    with run(config(tmp_path, samples=5, run={"batch_size": 4})):
        pass
    assert [call for call in parts() if call.startswith("read")] == ["read 4", "read 4", "read 2"]


def test_costs_are_counted_by_the_rule(parts, tmp_path):
    """The row's token columns and ratios follow from the page's size and the prompt's words."""
    from ctxbench import tokens

    with run(config(tmp_path, samples=1, augmentations=["clean"])) as store:
        names = "reference_tokens, carrier_tokens, carrier_visual_tokens, carrier_marker_tokens, prompt_tokens, text_prompt_tokens"
        names += ", compression_ratio, prompt_ratio, token_source, prompt, question"
        ((reference, carrier, visual, markers, prompt, as_text, ratio, prompt_ratio, source, text, question),) = rows(store, names)
        ((width, height, processed, factor),) = store.query("SELECT width, height, processed_width, resize_factor FROM pages").rows
    assert (visual, markers, carrier) == (tokens.visual_tokens(width, height), 2, visual + 2)
    plain = tokens.count_text(f"{plain_text_hint('en')}\n\n{question}")
    assert (prompt, as_text) == (tokens.count_text(text) + carrier, plain + reference)
    assert ratio == pytest.approx(reference / carrier)
    assert prompt_ratio == pytest.approx(as_text / prompt)
    assert source == "formula"
    assert processed == 56
    assert factor == pytest.approx(1.0)


USAGE = PARTS.replace(
    "class Picky(Model):",
    """class Picky(Model):
    fam: str = ""
    pages: int = 0
    odd: bool = False
    @property
    def family(self): return self.fam or None""",
).replace(
    "        return [Reading(prompt.text.split()[-1]) for prompt in prompts]",
    """        usage = TokenUsage(99, self.pages, (self.pages,))
        return [Reading(p.text.split()[-1], usage=usage, metadata={"token_disagreement": self.odd}) for p in prompts]""",
)


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"pages": 4}, None),
        ({"pages": 5}, "count_mismatch"),
        ({"pages": 5, "fam": "qwen2-vl"}, "count_mismatch"),
        ({"pages": 5, "fam": "smolvlm"}, None),
        ({"pages": 4, "odd": True}, "count_mismatch"),
    ],
)
def test_counts_that_disagree_are_flagged(fake_distribution, tmp_path, options, flag):
    """The processor's count replaces the formula's; a row whose sources differ is flagged, and its ratio counts all the same."""
    fake_distribution("parts-dist", USAGE.replace("28 + 28 * (len(text) % 2)", "56"))  # every page is 2 x 2 tokens
    load_plugins(reload=True)
    with run(config(tmp_path, models=[{"name": "picky", **options}], augmentations=["clean"], tokens={"family": "qwen2-vl"})) as store:
        found = rows(store, "carrier_visual_tokens, token_flag, prompt_tokens, token_source")
        ratio, flagged, tokens = store.query("SELECT compression_ratio, n_flagged, reference_tokens FROM summary").rows[0]
    assert found == [(options["pages"], flag, 99, "processor")] * 2
    assert ratio == pytest.approx(tokens / (options["pages"] + 2))  # two markers a page
    assert flagged == (2 if flag else 0)


REAL = {
    "models": ["channel"],
    "tasks": ["json_restore", "needle"],
    "codecs": ["text", "codebook", "codebook_external"],
    "augmentations": ["clean", "light"],
    "buckets": [128],
}


def outcomes(store) -> list[tuple]:
    names = "trial_id, prediction, score, channel_cer, carrier_tokens"
    pages = store.query("SELECT trial_id, page, sha256 FROM pages ORDER BY ALL").rows
    return rows(store, names) + [tuple(row) for row in pages]


def test_worker_processes_change_nothing(tmp_path):
    """The same experiment in this process and in two worker processes stores the same predictions, scores and pixels."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with run(config(tmp_path / "a", **REAL)) as store:
        alone = outcomes(store)
    with run(config(tmp_path / "b", **REAL, run={"executor": {"name": "local", "workers": 2}})) as store:
        assert outcomes(store) == alone
    assert len(alone) > 24


def test_python_api(tmp_path):
    """``ctxbench.run`` and ``ctxbench.Store`` are the stable names, and importing them brings no database before they are used."""
    ctxbench = importlib.import_module("ctxbench")
    with ctxbench.run(config(tmp_path, **{**REAL, "codecs": ["text"]}, samples=1)) as store:
        assert isinstance(store, ctxbench.Store)
        assert store.df("results")["correct"].all()
