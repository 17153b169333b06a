"""Configs: every mistake is one line that names the file, the key path and the nearest known name."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import jsonschema
import pytest
import yaml

from ctxbench import ConfigError
from ctxbench.config import (
    ExperimentConfig,
    apply_overrides,
    json_schema,
    load_config,
    make_config,
    parse_component,
    parse_config,
    read_yaml,
)


def problem(text: str) -> str:
    """The message of the error that a config text gives."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "sweep.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("sweep.yaml")
    return message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sampels: 3", "sweep.yaml: sampels: unknown key 'sampels'; did you mean 'samples'?"),
        ("run: {bacth_size: 3}", "sweep.yaml: run.bacth_size: unknown key 'bacth_size'; did you mean 'batch_size'?"),
        ("samples: three", "sweep.yaml: samples: must be a whole number, got 'three'"),
        ("samples: true", "sweep.yaml: samples: must be a whole number, got True"),
        ("samples: 0", "sweep.yaml: samples: must be at least 1, got 0"),
        ("seed: 9223372036854775808", "sweep.yaml: seed: must be from 0 to 9223372036854775807, got 9223372036854775808"),
        ("buckets: [512, 1.5]", "sweep.yaml: buckets[1]: must be a whole number, got 1.5"),
        ("buckets: []", "sweep.yaml: buckets: the list is empty"),
        ("buckets: [64, 64]", "sweep.yaml: buckets[1]: 64 is given twice"),
        ("run: {channel: 1}", "sweep.yaml: run.channel: must be true or false, got 1"),
        ("run: {images: al}", "sweep.yaml: run.images: must be one of all, failures, none, got 'al'; did you mean 'all'?"),
        ("run: 3", "sweep.yaml: run: must be a mapping, got 3"),
        ("codecs: [{label: x}]", "sweep.yaml: codecs[0]: a codec needs a 'name'"),
        ("codecs: [3]", "sweep.yaml: codecs[0]: must be the name of a codec or a mapping with 'name', got 3"),
        (
            "codecs: [text, {name: text, size: 2}]",
            "sweep.yaml: codecs[1]: 'text' is also the label of codecs[0]; give one a 'label' of its own "
            "(on a command line: text:label=NAME,...)",
        ),
        ("- a", "sweep.yaml: expected 'key: value' lines, got list"),
        ("a: b: c", "sweep.yaml: line 1, column 5: mapping values are not allowed here"),
        ("samples: 1\nsamples: 2", "sweep.yaml: line 2, column 1: the key 'samples' is given twice"),
        ("name: !!python/object/apply:os.system [id]", "could not determine a constructor for the tag"),
        ("name: !include secrets.yaml", "could not determine a constructor for the tag"),
        ("a: &a {x: 1}\nb: {<<: *a}", "merge keys ('<<') are not allowed"),
        ("name: \x00", "not YAML"),
    ],
)
def test_every_mistake_is_one_line(text, message):
    """Unknown keys, wrong types and hostile YAML each give one message with file and place."""
    assert message in problem(text)


def test_a_yaml_bomb_is_refused_before_it_expands():
    """A few hundred bytes of aliases that stand for 10^9 values end at once."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "more than 100,000 values" in problem("\n".join(lines))


def test_a_deep_yaml_is_refused():
    """Ten thousand brackets are no config, and no traceback."""
    assert "nested deeper" in problem("a: " + "[" * 10_000 + "]" * 10_000)


def test_a_huge_file_is_refused():
    """A file of a megabyte or more is not parsed at all."""
    assert "this is no config" in problem("name: " + "x" * 1_000_001)


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: None, lambda p: p.write_bytes(b"name: \xff\xfe")])
def test_unreadable_files(tmp_path: Path, make):
    """A folder, a missing file and a file that is not UTF-8 give one line with the path."""
    path = tmp_path / "c.yaml"
    make(path)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))


def test_defaults_survive_a_round_trip_through_yaml():
    """What ``config show`` prints is a config that means the same."""
    config = make_config({"codecs": ["text", {"name": "render", "label": "small", "font_size": 9}], "run": {"executor": {"name": "local"}}})
    again = parse_config(yaml.safe_dump(config.plain()), "again")
    assert again == config
    assert again.hash == config.hash


def test_the_hash_covers_what_decides_results_and_nothing_else():
    """Another seed is another experiment; another batch size or store is not."""
    base = ExperimentConfig()
    assert attrs.evolve(base, seed=1).hash != base.hash
    assert make_config({"codecs": [{"name": "render", "font_size": 9}]}).hash != make_config({"codecs": ["render"]}).hash
    assert make_config({"run": {"batch_size": 1}, "store": "other.duckdb"}).hash == base.hash


def test_overrides():
    """``--set`` reaches into lists and components, reads values as YAML and leaves its input alone."""
    data = ExperimentConfig().plain()
    changed = apply_overrides(data, ["samples=7", "codecs.1.font_size=9", "run.executor.workers=0", "adapters=[null, a]"])
    config = make_config(changed)
    assert config.samples == 7
    assert config.codecs[1].options == {"font_size": 9}
    assert config.run.executor.options == {"workers": 0}
    assert config.adapters == (None, "a")
    assert data == ExperimentConfig().plain()


@pytest.mark.parametrize(
    "override", ["samples", "=3", "codecs.9.cell=1", "seed.x=1", "codecs.x.cell=1", "name=[", "samples=!!python/name:os"]
)
def test_a_bad_override_names_itself(override):
    """A ``--set`` that cannot be applied is quoted in the error."""
    with pytest.raises(ConfigError, match=r"^--set "):
        apply_overrides(ExperimentConfig().plain(), [override])


def test_component_options_on_a_command_line():
    """``name:key=value`` carries typed options; a model's ``hf:folder`` is left alone."""
    assert parse_component("codebook:preset=robust,cell=5,flag=true") == {"name": "codebook", "preset": "robust", "cell": 5, "flag": True}
    assert parse_component("needle:depth=[0, 0.5],language=zh") == {"name": "needle", "depth": [0, 0.5], "language": "zh"}
    assert parse_component("text") == "text"
    assert parse_component("hf:some/model") == "hf:some/model"
    with pytest.raises(ConfigError, match="key=value"):
        parse_component("codebook:cell=5,robust")


def test_the_schema_accepts_what_the_reader_accepts():
    """The JSON Schema is valid, takes every shipped example, and refuses an unknown key."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(ExperimentConfig().plain())
    from ctxbench_cli.configs import EXAMPLES, read_example

    for name in EXAMPLES:
        validator.validate(read_yaml(read_example(name), name))
    assert not validator.is_valid({"sampels": 3})
    assert not validator.is_valid({"run": {"images": "al"}})
    assert json.loads(json.dumps(schema)) == schema


def test_the_commented_example_holds_the_defaults():
    """``config init`` writes every key, each with its default value."""
    from ctxbench_cli.configs import read_example

    data = read_yaml(read_example("commented"), "commented")
    assert make_config(data) == ExperimentConfig()
    assert set(data) == {field.name for field in attrs.fields(ExperimentConfig)}
    for section in ("run", "tokens"):
        assert set(data[section]) == {field.name for field in attrs.fields(type(getattr(ExperimentConfig(), section)))}
