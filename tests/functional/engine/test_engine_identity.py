"""What decides an outcome is in a trial's id; what makes a cell different is in the cell; damage is the same for all codecs."""

from __future__ import annotations

import json
from types import MappingProxyType

import attrs
import pytest
from engine_parts import config, rows

from ctxbench import Codec, Model, ModelRecord, Reading, derive_seed
from ctxbench.engine import RunReport, run
from ctxbench.identity import identify
from ctxbench.plugin import Origin
from ctxbench.resolving import resolve
from ctxbench.session import Session

ORIGIN = Origin("p", "dist-a", "1.0")


@attrs.frozen
class Plain(Codec):
    cell: int = 4
    table: str = ""

    def encode(self, text):
        raise NotImplementedError


class Hidden(Codec):
    """A class that is not attrs: its config hides its options."""

    def __init__(self, cell=4, speed=1):
        self.cell = cell

    def encode(self, text):
        raise NotImplementedError


def ids(tmp_path, session=None, **changes) -> set[str]:
    return {trial.trial_id for trial in resolve(config(tmp_path, **changes), session or Session.of()).trials()}


@pytest.mark.parametrize(
    "other",
    [
        ("codec", "other", ORIGIN, Plain(), {}),
        ("task", "plain", ORIGIN, Plain(), {}),
        ("codec", "plain", Origin("p", "dist-b", "1.0"), Plain(), {}),
        ("codec", "plain", Origin("p", "dist-a", "1.1"), Plain(), {}),
        ("codec", "plain", ORIGIN, Plain(5), {"cell": 5}),
        ("codec", "plain", ORIGIN, Plain(), {}, "weights"),
    ],
)
def test_each_part_of_an_identity_counts(other):
    """Kind, name, distribution, its version, options and whatever else decides: another one is another identity."""
    base = identify("codec", "plain", ORIGIN, Plain(), {})
    assert identify(*other).full != base.full


def test_a_component_version_and_fingerprint_count(monkeypatch):
    """A raised version or other data is another identity; the version alone leaves ``unversioned`` as it is."""
    base = identify("codec", "plain", ORIGIN, Plain(), {})
    monkeypatch.setattr(Plain, "version", 2)
    newer = identify("codec", "plain", ORIGIN, Plain(), {})
    assert newer.version == "1.0/2"
    assert newer.full != base.full
    assert newer.unversioned == base.unversioned
    monkeypatch.setattr(Plain, "fingerprint", "data 2")
    other = identify("codec", "plain", ORIGIN, Plain(), {})
    assert other.unversioned != base.unversioned
    assert other.fingerprint == "data 2"


def test_hidden_options_count():
    """Options that a component's config leaves out are taken as they were given, unless it declares them neutral."""
    four, five = (identify("codec", "h", ORIGIN, Hidden(cell), {"cell": cell}) for cell in (4, 5))
    assert four.full != five.full
    assert five.config == {"cell": 5}

    class Neutral(Hidden):
        neutral_options = frozenset({"speed"})

    slow, fast = (identify("codec", "h", ORIGIN, Neutral(4, speed), {"cell": 4, "speed": speed}) for speed in (1, 9))
    assert slow.full == fast.full
    assert slow.config == {"cell": 4}


def test_the_content_of_a_file_that_an_option_names_counts(tmp_path, monkeypatch):
    """Another font at the same path is another identity; a bare word that happens to be a file's name is no path."""
    monkeypatch.chdir(tmp_path)
    font = tmp_path / "a.ttf"
    found = set()
    for content in (b"one", b"two", b"one more"):
        font.write_bytes(content)
        found.add(identify("codec", "plain", ORIGIN, Plain(table=str(font)), {}).full)
    assert len(found) == 3
    word = identify("codec", "plain", ORIGIN, Plain(table="robust"), {}).full
    (tmp_path / "robust").write_text("x")
    assert identify("codec", "plain", ORIGIN, Plain(table="robust"), {}).full == word


def test_an_edited_module_of_an_editable_installation_counts(tmp_path, monkeypatch):
    """Its version says nothing about its code, so a hash of its sources stands behind the version."""
    from ctxbench import identity

    folder = tmp_path / "edited_codec"
    folder.mkdir()
    source = "import attrs, ctxbench\n@attrs.frozen\nclass C(ctxbench.Codec):\n    def encode(self, text): return None\n"
    (folder / "__init__.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    import edited_codec  # type: ignore[import-not-found]

    info = tmp_path / "edited_codec-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: edited-codec\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///x", "dir_info": {"editable": True}}))
    origin = Origin("edited", "edited-codec", "1.0")
    first = identify("codec", "c", origin, edited_codec.C(), {})
    (folder / "__init__.py").write_text(source + "# edited\n")
    identity.sources_sha256.cache_clear()  # another process
    second = identify("codec", "c", origin, edited_codec.C(), {})
    assert first.version.startswith("1.0+")
    assert first.version != second.version
    assert first.full != second.full
    assert first.unversioned == second.unversioned
    (info / "direct_url.json").unlink()
    identity.is_editable.cache_clear()
    assert identify("codec", "c", origin, edited_codec.C(), {}).version == "1.0/1"
    identity.is_editable.cache_clear()


def weighed(weights: str = "w1", tuned: str = "a1", dtype: str = "float32") -> Session:
    @attrs.frozen
    class Weighed(Model):
        adapter: str | None = None
        fingerprint = weights
        adapter_fingerprint = tuned
        runtime = MappingProxyType({"dtype": dtype})

        def read(self, prompts):
            return [Reading("x") for _ in prompts]

    return Session.of(components=[ModelRecord("weighed", "s", Weighed)])


def test_what_a_model_is_counts(parts, tmp_path, monkeypatch):
    """Weights, adapter, adapter's weights and what the machine decides (dtype) each make other trials; so do batches not."""
    from ctxbench import identity

    monkeypatch.setattr(identity.inspect, "getsource", lambda cls: "same source")
    settings = {"models": ["weighed"]}
    base = ids(tmp_path, weighed(), **settings)
    assert ids(tmp_path, weighed(), **settings, run={"batch_size": 2, "models_held": 3, "limits": {"read": 9}}) == base
    for session, changes in (
        (weighed(weights="w2"), {}),
        (weighed(tuned="a2"), {}),
        (weighed(dtype="bfloat16"), {}),
        (weighed(), {"adapters": ["tuned"]}),
        (weighed(), {"seed": 1}),
        (weighed(), {"system": "Be brief."}),
        (weighed(), {"tokens": {"reference": "qwen2.5-vl"}}),
    ):
        assert not base & ids(tmp_path, session, **settings, **changes), changes


def test_seeds_are_what_they_are_said_to_be(parts, tmp_path):
    """A sample is drawn by (run seed, task, bucket, index), damage by (sample, level): nothing else, and nothing less."""
    trials = list(resolve(config(tmp_path, seed=7, samples=2), Session.of()).trials())
    for trial in trials:
        cell = trial.cell
        assert trial.sample_seed == derive_seed("sample", 7, "ask", 64, trial.index)
        level = cell.augmentation
        assert trial.augmentation_seed == derive_seed("augmentation", trial.sample_seed, level.name, level.config)
    assert len({trial.augmentation_seed for trial in trials}) == 4  # two samples, two levels


def test_damage_is_paired_across_codecs_and_releases(parts, tmp_path, monkeypatch):
    """Codecs, their options and their releases meet the same draw of damage, so they can be compared trial by trial."""

    def draws(**changes) -> list[int]:
        return [trial.augmentation_seed for trial in resolve(config(tmp_path, **changes), Session.of()).trials()]

    base = draws()
    both = draws(codecs=["dot", {"name": "dot", "label": "blue", "color": "blue"}])
    assert both == [*base[:2], *base[:2], *base[2:], *base[2:]]
    import parts_dist  # type: ignore[import-not-found]

    monkeypatch.setattr(parts_dist.Dot, "version", 9)
    monkeypatch.setattr(parts_dist.Noise, "version", 9)
    assert draws() == base
    # The tasks' options and the run's seed are other samples or other seeds.
    assert draws(seed=1) != base


def test_each_page_has_noise_of_its_own():
    """Two equal pages of one carrier are damaged differently, and the same way every time."""
    import numpy as np
    from PIL import Image

    from ctxbench.augmenters import Clean
    from ctxbench.pipeline import augment

    class Noise(Clean):
        def apply(self, image, rng):
            return Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))

    page = Image.new("RGB", (4, 4))
    first, second = augment([page, page], Noise(), 5)
    assert first.tobytes() != second.tobytes()
    assert first.tobytes() == augment([page], Noise(), 5)[0].tobytes()
    expected = np.random.default_rng([5, 1]).integers(0, 256, (4, 4, 3), np.uint8)
    assert second.tobytes() == expected.tobytes()


def test_cells_carry_what_makes_them_different(parts, tmp_path):
    """Options, seed, system message and counting rules are variants; a release is the same variant and another cell."""

    def cells(**changes):
        return [(cell.id, cell.variant) for cell in resolve(config(tmp_path, **changes), Session.of()).cells()]

    base = cells(samples=2)
    assert cells(samples=9) == base
    for changes in ({"seed": 1}, {"system": "x"}, {"tokens": {"max_pixels": 9999}}, {"codecs": [{"name": "dot", "color": "blue"}]}):
        assert not {variant for _, variant in cells(**changes)} & {variant for _, variant in base}, changes
    with run(config(tmp_path)) as store:
        found = store.query("SELECT DISTINCT cell, variant, seed, codec_version, task_version, augmentation_version FROM trials").rows
    assert {(row[0], row[1]) for row in found} == set(base)
    assert {tuple(row[2:]) for row in found} >= {(0, "1.0/1", "1.0/1", "1.0/1")}


def test_a_new_release_of_a_codec_is_another_cell_of_the_same_variant(parts, tmp_path, monkeypatch):
    """Its trials run anew, beside the old ones, and say which release made them."""
    run(config(tmp_path)).close()
    import parts_dist  # type: ignore[import-not-found]

    monkeypatch.setattr(parts_dist.Dot, "version", 2)
    report = RunReport()
    with run(config(tmp_path), report=report) as store:
        found = store.query(
            "SELECT codec_version, count(*), count(DISTINCT variant), count(DISTINCT augmentation_seed) FROM trials GROUP BY 1"
        ).rows
        variants = store.query("SELECT count(DISTINCT variant), count(DISTINCT cell), count(DISTINCT augmentation_seed) FROM trials").rows
    assert (report.finished, report.stored_before) == (4, 0)
    assert sorted(map(tuple, found)) == [("1.0/1", 4, 2, 4), ("1.0/2", 4, 2, 4)]
    assert tuple(variants[0]) == (2, 4, 4)


def test_a_raised_metric_renews_the_verdict(parts, tmp_path, monkeypatch):
    """The score that decides *correct* in its new version decides the stored outcome, not only a column beside it."""
    run(config(tmp_path)).close()
    import parts_dist  # type: ignore[import-not-found]

    monkeypatch.setattr(parts_dist.Same, "version", 2)
    monkeypatch.setattr(parts_dist.Same, "score", lambda self, prediction, sample: {"same": 0.5})
    report = RunReport()
    with run(config(tmp_path), report=report) as store:
        assert rows(store, "DISTINCT same, score, outcome, correct") == [(0.5, 0.5, "confabulated", False)]
        assert store.query("SELECT accuracy FROM summary").rows[0][0] == 0
    assert (report.rescored, report.finished) == (4, 0)


def test_a_metric_that_fails_on_stored_trials_is_said_and_changes_nothing(parts, tmp_path):
    """No traceback, no lost row: one note, and the trials keep what they had."""
    run(config(tmp_path)).close()
    report = RunReport()
    with run(config(tmp_path, metrics=["same", {"name": "length", "label": "bad", "fail": True}]), report=report) as store:
        assert rows(store, "DISTINCT status, outcome") == [("ok", "correct")]
    assert report.rescored == 0
    assert report.notes == ["stored trials of task 'ask' could not be scored anew: ArithmeticError: cannot measure"]


def test_a_missing_channel_is_filled_in_later(parts, tmp_path):
    """After ``--no-channel`` the same command with it decodes the stored trials' pages; no model reads again."""
    run(config(tmp_path, codecs=["dot", "text"], run={"channel": False})).close()
    before = parts()
    report = RunReport()
    with run(config(tmp_path, codecs=["dot", "text"]), report=report) as store:
        found = rows(store, "codec, channel_ok, channel_correct, channel_cer, channel_error", "codec, sample_index")
    assert (report.filled, report.finished) == (8, 0)
    assert found[:4] == [("dot", False, False, 1.0, "a dot holds no text")] * 4
    assert found[4:] == [("text", True, True, 0.0, None)] * 4
    assert not [call for call in parts()[len(before) :] if call.startswith("read")]
    run(config(tmp_path, codecs=["dot", "text"]), report=report).close()
    assert report.filled == 0


def test_another_environment_is_said(parts, tmp_path, monkeypatch):
    """Library versions are in no id, so a run that goes on from trials made with others says which."""
    from ctxbench.engine import environment

    run(config(tmp_path)).close()
    report = RunReport()
    run(config(tmp_path), report=report).close()
    assert report.notes == []
    real = environment.importlib.metadata.version
    monkeypatch.setattr(environment.importlib.metadata, "version", lambda name: "99.1" if name == "pillow" else real(name))
    with run(config(tmp_path, samples=3), report=report) as store:
        kept = store.query("SELECT environment->'libraries'->>'pillow' FROM runs ORDER BY started_at").rows
    assert len(report.notes) == 1
    assert report.notes[0].startswith("4 of the stored trials were made with pillow ")
    assert "(now 99.1); they are kept" in report.notes[0]
    assert [row[0] for row in kept] == [real("pillow"), "99.1"]


def test_fingerprints_of_data_are_part_of_a_task(parts, tmp_path, monkeypatch):
    """Edited data of a task, behind the same options, makes new trials."""
    run(config(tmp_path)).close()
    import parts_dist  # type: ignore[import-not-found]

    monkeypatch.setattr(parts_dist.Ask, "fingerprint", "other data")
    report = RunReport()
    with run(config(tmp_path), report=report) as store:
        assert rows(store, "task_fingerprint", "1") == [("",)] * 4 + [("other data",)] * 4
    assert report.finished == 4
