"""What plugins return is checked at the border: a wrong value is one trial's error, and other plugins' trials are untouched."""

from __future__ import annotations

import numpy as np
import pytest
from engine_parts import config, rows
from PIL import Image

from ctxbench.engine import RunReport, run

BAD_TASKS = {
    "answer-list": ("return Sample('c', 'q', ['a'], bucket)", "TypeError", "the sample's answer must be str, got list"),
    "no-sample": ("return ('c', 'q')", "TypeError", "what sample() returns must be Sample, got tuple"),
    "surrogate": ("return Sample('c' + chr(0xD800), 'q', 'a', bucket)", "ValueError", "lone surrogate at character 1"),
    "language": ("return Sample('c', 'q', 'a', bucket, 'klingon')", "ValueError", "language must be one of en, zh, got 'klingon'"),
    "bucket": ("return Sample('c', 'q', 'a', 7)", "ValueError", "the sample says bucket 7, but 64 was asked for"),
    "metadata": ("return Sample('c', 'q', 'a', bucket, metadata={'x': {1}})", "TypeError", "metadata is not JSON"),
    "too-short": ("return Sample('two words', 'q', 'a', bucket)", "ValueError", "has 2 reference tokens, which misses the bucket of 64"),
    "exit": ("raise SystemExit(3)", "SystemExit", "3"),
}


@pytest.mark.parametrize("name", BAD_TASKS)
def test_a_task_that_makes_no_proper_sample(parts, bad_parts, tmp_path, name):
    """The row names the mistake at stage sample; the other task's trials are right."""
    code, kind, message = BAD_TASKS[name]
    bad_parts(f"""
@attrs.frozen
class Bad(Task):
    metrics = ("same",)
    primary_score = "same"
    def sample(self, bucket, seed):
        {code}
    def solve(self, context, question): return ""
@hookimpl
def ctxbench_tasks(): yield TaskRecord("bad", "s", Bad)
""")
    with run(config(tmp_path, tasks=["ask", "bad"], samples=1)) as store:
        found = rows(store, "task, status, error_stage, error_type, error_message", "task, augmentation")
    assert [row[:2] for row in found[:2]] == [("ask", "ok")] * 2
    for row in found[2:]:
        assert row[:4] == ("bad", "error", "sample", kind)
        assert message in row[4]


BAD_CODECS = {
    "no-carrier": ("return 'text'", "encode", "TypeError", "what encode() returns must be Carrier, got str"),
    "grey-page": (
        "return Carrier(pages=[Image.new('L', (28, 28))])",
        "encode",
        "ValueError",
        "page 0 of the carrier must be an RGB image, got mode L",
    ),
    "array-page": ("return Carrier(pages=[b'x'])", "encode", "TypeError", "page 0 of the carrier must be Image, got bytes"),
    "payload": ("return Carrier(text='x', payload_bytes=-1)", "encode", "ValueError", "payload_bytes must not be negative, got -1"),
    "exit": ("raise SystemExit('bye')", "encode", "SystemExit", "bye"),
    "generator-exit": ("raise GeneratorExit('odd')", "encode", "GeneratorExit", "odd"),
}


@pytest.mark.parametrize("name", BAD_CODECS)
def test_a_codec_that_makes_no_proper_carrier(parts, bad_parts, tmp_path, name):
    """The row names the mistake at stage encode; the other codec's trials are right."""
    code, stage, kind, message = BAD_CODECS[name]
    bad_parts(f"""
@attrs.frozen
class Bad(Codec):
    can_decode = False
    def encode(self, text):
        {code}
@hookimpl
def ctxbench_codecs(): yield CodecRecord("bad", "s", Bad)
""")
    with run(config(tmp_path, codecs=["dot", "bad"], samples=1, augmentations=["clean"])) as store:
        found = rows(store, "codec, status, error_stage, error_type, error_message", "codec")
    assert found[1][:2] == ("dot", "ok")
    assert found[0][:4] == ("bad", "error", stage, kind)
    assert message in found[0][4]


def test_a_decoder_that_returns_no_text(parts, bad_parts, tmp_path):
    """Bytes from decode() are an error of the channel stage, not a text that differs."""
    bad_parts("""
@attrs.frozen
class Bad(Codec):
    def encode(self, text): return Carrier(text=text)
    def decode(self, carrier): return carrier.text.encode()
@hookimpl
def ctxbench_codecs(): yield CodecRecord("bad", "s", Bad)
""")
    with run(config(tmp_path, codecs=["bad"], samples=1, augmentations=["clean"])) as store:
        assert rows(store, "error_stage, error_type, error_message") == [("channel", "TypeError", "decode() must return str, got bytes")]


BAD_AUGMENTERS = {
    "grey": ("return image.convert('L')", "ValueError", "page 0 after augmentation must be an RGB image, got mode L"),
    "array": ("return 17", "TypeError", "page 0 after augmentation must be Image, got int"),
}


@pytest.mark.parametrize("name", BAD_AUGMENTERS)
def test_an_augmenter_that_makes_no_proper_page(parts, bad_parts, tmp_path, name):
    """The row names the mistake at stage augment; clean is untouched."""
    code, kind, message = BAD_AUGMENTERS[name]
    bad_parts(f"""
@attrs.frozen
class Bad(Augmenter):
    def apply(self, image, rng):
        {code}
@hookimpl
def ctxbench_augmenters(): yield AugmenterRecord("bad", "s", Bad)
""")
    with run(config(tmp_path, augmentations=["bad", "clean"], samples=1)) as store:
        found = rows(store, "augmentation, status, error_stage, error_type, error_message", "augmentation")
    assert found[1][:2] == ("clean", "ok")
    assert found[0][:4] == ("bad", "error", "augment", kind)
    assert message in found[0][4]


def test_an_augmenter_that_draws_on_its_page_spoils_no_other(parts, bad_parts, tmp_path):
    """Pages of one job share memory; clean, which comes after it, still gets the codec's pixels."""
    bad_parts("""
@attrs.frozen
class Bad(Augmenter):
    def apply(self, image, rng):
        image.paste((0, 0, 0), (0, 0, 20, 20))
        return image
@hookimpl
def ctxbench_augmenters(): yield AugmenterRecord("bad", "s", Bad)
""")
    with run(config(tmp_path, augmentations=["bad", "clean"], samples=1, run={"images": "all"})) as store:
        ((path,),) = store.query("SELECT path FROM pages JOIN trials USING (trial_id) WHERE augmentation = 'clean'").rows
    page = np.asarray(Image.open(tmp_path / "s.duckdb.pages" / path))
    assert (page == (255, 0, 0)).all()  # Dot's red


BAD_READINGS = {
    "strings": ("[p.text for p in prompts]", "TypeError", "what read() returns for a prompt must be Reading, got str"),
    "none": ("None", "TypeError", "read() must return a list of readings, got NoneType"),
    "one-string": ("'x' * len(prompts)", "TypeError", "read() must return a list of readings, got str"),
    "text-int": ("[Reading(7) for p in prompts]", "TypeError", "a reading's text must be str, got int"),
    "usage-text": ("[Reading('x', usage='many') for p in prompts]", "TypeError", "a reading's usage must be TokenUsage, got str"),
    "usage-nan": (
        "[Reading('x', usage=TokenUsage(float('nan'))) for p in prompts]",
        "TypeError",
        "usage.prompt must be a whole number, got nan",
    ),
    "usage-less": ("[Reading('x', usage=TokenUsage(-5)) for p in prompts]", "ValueError", "usage.prompt must not be negative, got -5"),
    "usage-str": ("[Reading('x', usage=TokenUsage('12')) for p in prompts]", "TypeError", "usage.prompt must be a whole number, got '12'"),
    "seconds": ("[Reading('x', prefill_seconds=float('inf')) for p in prompts]", "ValueError", "prefill_seconds must be a time"),
    "metadata": ("[Reading('x', metadata={'a': object()}) for p in prompts]", "TypeError", "metadata is not JSON"),
    "exit": ("exit(1)", "SystemExit", "1"),
}


@pytest.mark.parametrize("name", BAD_READINGS)
def test_a_model_that_gives_no_proper_reading(parts, bad_parts, tmp_path, name):
    """The row names the mistake at stage read; the other model's rows are stored and right."""
    value, kind, message = BAD_READINGS[name]
    bad_parts(f"""
@attrs.frozen
class Bad(Model):
    def read(self, prompts):
        return {value}
@hookimpl
def ctxbench_models(): yield ModelRecord("bad", "s", Bad)
""")
    report = RunReport()
    with run(config(tmp_path, models=["bad", "picky"]), report=report) as store:
        found = rows(store, "model, status, outcome, error_stage, error_type, error_message", "model")
    assert (report.finished, report.errors) == (8, 4)
    assert [row[:3] for row in found[4:]] == [("picky", "ok", "correct")] * 4
    for row in found[:4]:
        assert row[:5] == ("bad", "error", None, "read", kind)
        assert message in row[5]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("{'same': float('nan')}", "ValueError", "the score 'same' must be finite, got nan"),
        ("{'same': '1'}", "TypeError", "the score 'same' must be a number, got '1'"),
        ("1.0", "TypeError", "what score() returns must be a dict or Scores, got float"),
    ],
)
def test_a_metric_that_gives_no_number(parts, bad_parts, tmp_path, value, kind, message):
    """The row is an error at stage score and keeps the prediction."""
    bad_parts(f"""
@attrs.frozen
class Bad(Metric):
    def score(self, prediction, sample): return {value}
@hookimpl
def ctxbench_metrics(): yield MetricRecord("bad", "s", Bad)
""")
    with run(config(tmp_path, metrics=["same", "bad"], samples=1, augmentations=["clean"])) as store:
        ((stage, error, said, prediction, expected),) = rows(store, "error_stage, error_type, error_message, prediction, expected")
    assert (stage, error) == ("score", kind)
    assert message in said
    assert prediction == expected


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("ImageTokens(-3, 28, 28)", "ValueError", "visual tokens of a page must not be negative, got -3"),
        ("ImageTokens(float('nan'), 28, 28)", "TypeError", "visual tokens of a page must be a whole number, got nan"),
        ("ImageTokens(3, 0, 28)", "ValueError", "the resized width of a page must be at least 1"),
        ("12", "TypeError", "what the token counter's image() returns must be ImageTokens, got int"),
    ],
)
def test_a_counter_that_gives_no_count(parts, bad_parts, tmp_path, value, kind, message):
    """The row is an error at stage count: a negative or missing count would make nonsense of every ratio."""
    bad_parts(f"""
@attrs.frozen
class Bad(TokenCounter):
    source = "a guess"
    def image(self, width, height): return {value}
@hookimpl
def ctxbench_token_counters(): yield TokenCounterRecord("bad", "s", Bad)
""")
    with run(config(tmp_path, tokens={"family": "bad"}, samples=1, augmentations=["clean"])) as store:
        ((stage, error, said),) = rows(store, "error_stage, error_type, error_message")
    assert (stage, error) == ("count", kind)
    assert message in said


def test_an_executor_that_drops_and_repeats_jobs(parts, bad_parts, tmp_path):
    """Dropped jobs become error rows, a repeated one is counted once and said: nothing is taken at its word."""
    bad_parts("""
@attrs.frozen
class Bad(Executor):
    def map(self, function, jobs, *, window):
        jobs = list(jobs)
        yield function(jobs[1])
        yield function(jobs[1])
@hookimpl
def ctxbench_executors(): yield ExecutorRecord("bad", "s", Bad)
""")
    report = RunReport()
    with run(config(tmp_path, samples=3, run={"executor": {"name": "bad"}}), report=report) as store:
        found = rows(store, "sample_index, status, error_stage, error_type, error_message", "sample_index")
    assert (report.finished, report.errors) == (6, 4)
    assert [row[1] for row in found] == ["error", "error", "ok", "ok", "error", "error"]
    assert found[0][2:] == ("executor", "JobLost", "executor 'bad' never gave this job back")
    assert report.notes == ["executor 'bad' gave a job more than once; the first result counts"]


def test_a_component_that_changes_its_options_is_an_error(parts, bad_parts, tmp_path):
    """Its next trial would mean something else under the same id."""
    bad_parts("""
class Bad(Codec):
    can_decode = False
    def __init__(self, cell=4): self.cell = cell
    @property
    def config(self): return {"cell": self.cell}
    def encode(self, text):
        self.cell += 1
        return Carrier(text=text)
@hookimpl
def ctxbench_codecs(): yield CodecRecord("bad", "s", Bad)
""")
    with run(config(tmp_path, codecs=["bad"], samples=1, augmentations=["clean"])) as store:
        ((stage, error, said),) = rows(store, "error_stage, error_type, error_message")
    assert (stage, error) == ("encode", "ValueError")
    assert "codec 'bad' changed its own config while it worked (cell)" in said


def test_what_plugins_print_goes_to_stderr(parts, bad_parts, tmp_path, capfd):
    """Results alone go to stdout: a plugin's print would break every JSON document."""
    bad_parts("""
@attrs.frozen
class Bad(Model):
    def read(self, prompts):
        print("loading ...")
        return [Reading("x") for _ in prompts]
@hookimpl
def ctxbench_models(): yield ModelRecord("bad", "s", Bad)
@hookimpl
def ctxbench_trial_finished(result): print("finished", result.model)
""")
    run(config(tmp_path, models=["bad"], samples=1, augmentations=["clean"])).close()
    out, err = capfd.readouterr()
    assert out == ""
    assert "loading ..." in err
    assert "finished bad" in err


def test_an_experiment_without_one_answer_has_failed_also_the_second_time(parts, tmp_path):
    """A second run finds nothing to do; that every stored trial is an error still has to be said."""
    report = RunReport()
    settings = {"codecs": [{"name": "dot", "fail": "encode"}]}
    run(config(tmp_path, **settings), report=report).close()
    assert report.all_failed
    run(config(tmp_path, **settings), report=report).close()
    assert (report.finished, report.stored_errors) == (0, 4)
    assert report.all_failed
