"""Plugins are found through entry points, and a broken one never stops the others."""

from __future__ import annotations

import pytest

import ctxbench
from ctxbench import ConfigError, PluginError
from ctxbench.registry import load_plugins

GOOD = """
import attrs, ctxbench

@attrs.frozen
class Upper(ctxbench.Codec):
    width: int = 3
    def encode(self, text):
        return ctxbench.Carrier(text=text.upper())
    can_decode = False

@ctxbench.hookimpl
def ctxbench_codecs():
    yield ctxbench.CodecRecord("upper", "Upper case.", Upper)
"""


def failures() -> list[str]:
    return [str(failure) for failure in load_plugins(reload=True).failures]


def test_a_stranger_is_found_like_our_own(fake_distribution):
    """An installed distribution's codec is made by name, with its options."""
    fake_distribution("upper-codec", GOOD)
    registry = load_plugins(reload=True)
    assert registry.failures == []
    assert registry.codec("upper", width=5).config == {"width": 5}
    entry = registry.find("codec", "upper")
    assert (entry.origin.distribution, entry.origin.version) == ("upper-codec", "1.0")


@pytest.mark.parametrize(
    ("source", "stage", "message"),
    [
        ("import no_such_module", "import", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "import", "SystemExit"),
        ("def (:", "import", "SyntaxError"),
        (
            "import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codecs():\n    return [42]",
            "ctxbench_codecs",
            "expected CodecRecord, got int",
        ),
        ("import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codecs():\n    return 1 / 0", "ctxbench_codecs", "ZeroDivisionError"),
        ("import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codecs():\n    return None", "ctxbench_codecs", "TypeError"),
        ("import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codecs(argument):\n    return []", "registration", "argument"),
        ("import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codec():\n    return []", "registration", "no such hook: ctxbench_codec"),
        (
            "import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_tasks():\n    yield ctxbench.CodecRecord('a', 'b', dict)",
            "ctxbench_tasks",
            "expected TaskRecord, got CodecRecord",
        ),
        (
            "import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codecs():\n    yield ctxbench.CodecRecord('A b', 's', dict)",
            "ctxbench_codecs",
            "'A b' must be lower-case",
        ),
    ],
)
def test_a_broken_plugin_stops_no_other(fake_distribution, capsys, source, stage, message):
    """Whatever is wrong with one plugin, the others load, and one line says what was left out."""
    fake_distribution("upper-codec", GOOD)
    fake_distribution("broken-codec", source)
    registry = load_plugins(reload=True)
    assert "upper" in registry.names("codec")
    assert "text" in registry.names("codec")
    (failure,) = registry.failures
    assert failure.origin.distribution == "broken-codec"
    assert failure.stage == stage
    assert message in failure.error
    assert capsys.readouterr().err.count("\n") == 1


def test_a_name_that_is_taken_names_both_distributions(fake_distribution):
    """Of two codecs with one name the first in load order is kept, and the error names both owners."""
    fake_distribution("upper-codec", GOOD)
    fake_distribution("upper-again", GOOD)
    (failure,) = failures()
    assert "'upper' is offered by both upper-again and upper-codec; kept the one of upper-again" in failure


def test_a_stranger_cannot_take_over_a_first_party_name(fake_distribution):
    """``text`` stays ours, whatever a stranger's distribution is called."""
    fake_distribution("aaa", GOOD.replace('"upper"', '"text"'))
    registry = load_plugins(reload=True)
    assert registry.find("codec", "text").origin.distribution == "ctxbench-text"
    assert "'text' is offered by both ctxbench-text and aaa" in str(registry.failures[0])


def test_two_plugins_under_one_entry_point_name(fake_distribution):
    """The second plugin of a name is reported with the distribution that has it already."""
    fake_distribution("one-dist", GOOD, entry_point="same")
    fake_distribution("two-dist", GOOD.replace("upper", "other"), entry_point="same")
    assert "'same' is taken by one-dist" in failures()[0]


def test_naming_a_missing_component_tells_which_plugin_failed(fake_distribution):
    """A config that names a component of a broken plugin gets the reason, not only 'unknown'."""
    fake_distribution("broken-codec", "import no_such_module")
    registry = load_plugins(reload=True)
    with pytest.raises(ConfigError, match=r"no codec named 'brokn'.*broken-codec 1\.0 left out at import: ModuleNotFoundError"):
        registry.codec("brokn")


def test_a_factory_that_cannot_be_imported_is_told_when_made(fake_distribution):
    """A lazy factory whose module is broken gives one clear error naming the plugin."""
    fake_distribution(
        "lazy-codec",
        "import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codecs():\n    yield ctxbench.CodecRecord('lazy', 's', 'no_such:Thing')",
    )
    registry = load_plugins(reload=True)
    assert registry.failures == []
    with pytest.raises(ConfigError, match=r"codec 'lazy' of plugin 'lazy-codec' \(lazy-codec 1\.0\) cannot be loaded: ModuleNotFoundError"):
        registry.codec("lazy")


def test_a_factory_that_makes_the_wrong_thing(fake_distribution):
    """A codec factory must make a Codec."""
    fake_distribution(
        "wrong-codec", "import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codecs():\n    yield ctxbench.CodecRecord('wrong', 's', dict)"
    )
    with pytest.raises(ConfigError, match="made dict, which is no Codec"):
        load_plugins(reload=True).codec("wrong")


def test_options_are_checked_with_the_nearest_name(fake_distribution):
    """A misspelt option is an error that gives the right one."""
    fake_distribution("upper-codec", GOOD)
    registry = load_plugins(reload=True)
    with pytest.raises(ConfigError, match="codec 'upper' has no option 'widht'; did you mean 'width'"):
        registry.codec("upper", widht=4)


def test_strict_mode_raises(fake_distribution, monkeypatch):
    """CTXBENCH_STRICT_PLUGINS=1 turns the first failure into an error."""
    fake_distribution("broken-codec", "import no_such_module")
    monkeypatch.setenv("CTXBENCH_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="broken-codec"):
        load_plugins(reload=True)


@pytest.mark.parametrize("name", ["upper-codec", "entry"])
def test_disabled_plugins_are_left_out(fake_distribution, monkeypatch, name):
    """A plugin can be switched off by distribution or entry-point name, and an error then says so."""
    fake_distribution("upper-codec", GOOD, entry_point="entry")
    monkeypatch.setenv("CTXBENCH_DISABLE_PLUGINS", f"nothing, {name}")
    registry = load_plugins(reload=True)
    assert "upper" not in registry.names("codec")
    assert registry.manager.disabled == ["entry"]
    with pytest.raises(ConfigError, match="plugins switched off: entry"):
        registry.codec("upper")


def test_first_party_plugins_load_through_entry_points():
    """Everything that ships is found through the group, none of it by special means."""
    registry = load_plugins(reload=True)
    assert registry.failures == []
    assert {"text", "render", "codebook", "codebook_external"} <= set(registry.names("codec"))
    assert {"json_restore", "needle"} <= set(registry.names("task"))
    assert {"clean", "light", "heavy", "custom"} <= set(registry.names("augmenter"))
    assert {"channel", "mock"} <= set(registry.names("model"))
    for kind, table in registry.manager.components.items():
        for name, entry in table.items():
            assert entry.origin.distribution.startswith("ctxbench-"), (kind, name)
    assert ctxbench.load_plugins() is registry
