"""Plugins are found through entry points, and a broken one never stops the others."""

from __future__ import annotations

import sys
import threading
import tomllib
from pathlib import Path

import click
import pytest

import ctxbench
from ctxbench import ConfigError, PluginError
from ctxbench.plugin import FIRST_PARTY, plugin_output_to_stderr, plugin_work
from ctxbench.registry import load_plugins
from ctxbench.suggest import nearest

ROOT = Path(__file__).parents[2]

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
        ("class Stop(BaseException): pass\nraise Stop('now')", "import", "Stop: now"),
        ("import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codecs():\n    raise SystemExit(3)", "ctxbench_codecs", "SystemExit: 3"),
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
    """Whatever is wrong with one plugin, the others load, and one line says so when components are first used, and never again."""
    fake_distribution("upper-codec", GOOD)
    fake_distribution("broken-codec", source)
    registry = load_plugins(reload=True)
    assert "upper" in registry.names("codec")
    assert "text" in registry.names("codec")
    (failure,) = registry.failures
    assert failure.origin.distribution == "broken-codec"
    assert failure.stage == stage
    assert message in failure.error
    assert capsys.readouterr().err == ""
    registry.codec("text")
    registry.codec("upper")
    assert capsys.readouterr().err == "ctxbench: 1 plugin is left out, wholly or in part (broken-codec); see: ctxbench plugins\n"


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


def test_a_stranger_named_like_us_cannot_take_over_a_first_party_name(fake_distribution):
    """``ctxbench-aaa`` sorts before ``ctxbench-text`` and begins with our name; what is ours is a list, not a prefix."""
    fake_distribution("ctxbench-aaa", GOOD.replace('"upper"', '"text"'))
    registry = load_plugins(reload=True)
    assert registry.find("codec", "text").origin.distribution == "ctxbench-text"
    (failure,) = registry.failures
    assert failure.origin.distribution == "ctxbench-aaa"
    assert "'text' is offered by both ctxbench-text and ctxbench-aaa; kept the one of ctxbench-text" in failure.error


def test_every_distribution_of_the_project_is_protected():
    """A new plugin of ours that is missing from the list would load after strangers and could lose its names."""
    names = {tomllib.loads(path.read_text("utf-8"))["project"]["name"] for path in ROOT.glob("*/pyproject.toml")}
    names |= {tomllib.loads(path.read_text("utf-8"))["project"]["name"] for path in ROOT.glob("plugins/*/pyproject.toml")}
    assert "ctxbench-text" in names
    assert names <= set(FIRST_PARTY)
    assert len(set(FIRST_PARTY)) == len(FIRST_PARTY)


def test_first_party_plugins_load_first_and_in_a_fixed_order(fake_distribution):
    """The order decides who keeps a name, so neither the file system's order nor a stranger's distribution name may change it."""
    fake_distribution("aaa", GOOD)
    fake_distribution("ctxbench-core-extra", GOOD.replace("upper", "other"))
    loaded = [origin.distribution for origin in load_plugins(reload=True).manager.origins.values()]
    ours = [name for name in FIRST_PARTY if name in loaded]
    assert loaded == [*ours, "aaa", "ctxbench-core-extra"]


def test_two_plugins_under_one_entry_point_name(fake_distribution):
    """An entry-point name is its distribution's own affair: both plugins load, and each component names its distribution."""
    fake_distribution("one-dist", GOOD, entry_point="same")
    fake_distribution("two-dist", GOOD.replace("upper", "other"), entry_point="same")
    registry = load_plugins(reload=True)
    assert registry.failures == []
    assert registry.find("codec", "upper").origin.scoped == "one-dist:same"
    assert registry.find("codec", "other").origin.scoped == "two-dist:same"
    assert registry.manager.hooks("two-dist:same") == ["ctxbench_codecs"]


def test_a_module_that_two_distributions_name(fake_distribution, tmp_path):
    """One module under two entry points is loaded once; the second says under which name it is there already."""
    fake_distribution("one-dist", GOOD)
    fake_distribution("two-dist", "")
    (tmp_path / "site" / "two_dist-1.0.dist-info" / "entry_points.txt").write_text("[ctxbench]\ntwo = one_dist\n")
    registry = load_plugins(reload=True)
    assert "upper" in registry.names("codec")
    assert [f.error for f in registry.failures] == ["PluginError: one_dist is loaded already, as one-dist:one-dist"]


def test_naming_a_missing_component_tells_which_plugin_failed(fake_distribution):
    """A config that names a component of a broken plugin gets the reason, not only 'unknown'."""
    fake_distribution("broken-codec", "import no_such_module")
    registry = load_plugins(reload=True)
    with pytest.raises(ConfigError, match=r"no codec named 'brokn'.*broken-codec 1\.0 left out at import: ModuleNotFoundError"):
        registry.codec("brokn")
    with pytest.raises(ConfigError, match=r"^no codec named 'broken' \(plugin 'broken-codec' of"):
        registry.codec("broken")  # no guess at another name: its own plugin is the one that failed


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
    with pytest.raises(
        ConfigError, match=r"plugin 'wrong-codec' \(wrong-codec 1\.0\) cannot be made: its factory made dict, which is no Codec"
    ):
        load_plugins(reload=True).codec("wrong")


FACTORY = """
import ctxbench
{definition}
@ctxbench.hookimpl
def ctxbench_codecs():
    yield ctxbench.CodecRecord("made", "s", {factory})
"""


@pytest.mark.parametrize(
    ("definition", "factory", "message"),
    [
        ("def make():\n    raise RuntimeError('no\\nlicence')", "make", "cannot be made: RuntimeError: no licence"),
        ("def make():\n    raise KeyError('x')", "make", "cannot be made: KeyError: 'x'"),
        ("def make():\n    raise SystemExit(0)", "make", "cannot be made: SystemExit: 0"),
        ("class Stop(BaseException): pass\ndef make():\n    raise Stop", "make", "cannot be made: Stop"),
        ("def make():\n    return None + 1", "make", "cannot be made: unsupported operand"),
        ("class Abstract(ctxbench.Codec): pass", "Abstract", "cannot be made: Can't instantiate abstract class Abstract"),
        ("", "'exits:Codec'", "cannot be loaded: SystemExit: 5"),
    ],
)
def test_a_factory_that_fails_is_one_clear_error(fake_distribution, tmp_path, definition, factory, message):
    """Whatever a factory raises, SystemExit included, becomes one error that names component, plugin and distribution."""
    fake_distribution("made-codec", FACTORY.format(definition=definition, factory=factory))
    (tmp_path / "site" / "exits.py").write_text("raise SystemExit(5)")
    registry = load_plugins(reload=True)
    with pytest.raises(ConfigError) as caught:
        registry.codec("made")
    assert str(caught.value).startswith(f"codec 'made' of plugin 'made-codec' (made-codec 1.0) {message}")
    assert "\n" not in str(caught.value)


def test_a_real_interrupt_goes_through(fake_distribution):
    """Ctrl-C while a component is made ends the program; it is no mistake of the plugin."""
    fake_distribution("made-codec", FACTORY.format(definition="def make():\n    raise KeyboardInterrupt", factory="make"))
    with pytest.raises(KeyboardInterrupt):
        load_plugins(reload=True).codec("made")


def test_an_option_without_default_is_asked_for(fake_distribution):
    """A factory that needs an option is told apart from one that fails."""
    fake_distribution("made-codec", FACTORY.format(definition="def make(folder):\n    return 1", factory="make"))
    with pytest.raises(ConfigError, match="codec 'made' needs the option 'folder', which has no default"):
        load_plugins(reload=True).codec("made")


def test_a_name_of_another_kind_is_no_hint_for_itself(fake_distribution):
    """``did you mean 'upper'?`` for ``upper`` helps nobody: the error says what ``upper`` is."""
    fake_distribution("upper-codec", GOOD)
    registry = load_plugins(reload=True)
    with pytest.raises(ConfigError, match="no model named 'upper'; 'upper' is a codec"):
        registry.model("upper")
    assert nearest("upper", ["upper", "lower"]) != "; did you mean 'upper'?"


PRINTS = """
import attrs, ctxbench
print("import")

@attrs.frozen
class Loud(ctxbench.Codec):
    def __attrs_post_init__(self):
        print("factory")
    def encode(self, text):
        print("encode")
        return ctxbench.Carrier(text=text)
    def decode(self, carrier):
        print("decode")
        return carrier.text

@ctxbench.hookimpl
def ctxbench_codecs():
    print("hook")
    yield ctxbench.CodecRecord("loud", "Prints.", Loud)

@ctxbench.hookimpl
def ctxbench_commands(cli):
    print("commands")

@ctxbench.hookimpl
def ctxbench_trial_finished(result):
    print("finished")
"""


def test_what_plugins_print_goes_to_stderr(fake_distribution, capsys, monkeypatch):
    """A ``print`` at import, in a hook or in a factory would spoil whatever a command prints as JSON."""
    monkeypatch.setenv("CTXBENCH_DISABLE_PLUGINS", "transformers")  # it listens too, and reads the result
    fake_distribution("loud-codec", PRINTS)
    registry = load_plugins(reload=True)
    registry.codec("loud")
    registry.manager.add_commands(click.Group("ctxbench"))
    registry.manager.trial_finished(None)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.split() == ["import", "hook", "factory", "commands", "finished"]


def test_redirection_survives_threads_and_errors(capsys):
    """Overlapping threads must not leave stdout redirected, nor may an exception."""
    inside, leave = threading.Event(), threading.Event()

    def first():
        with plugin_output_to_stderr():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=first)
    before = sys.stdout
    thread.start()
    inside.wait(60)

    def second():
        with plugin_work("codec 'x'"):
            leave.set()
            thread.join(60)
            print("work")
            _ = 1 / 0

    with pytest.raises(PluginError, match="codec 'x' failed: ZeroDivisionError"):
        second()
    assert sys.stdout is before
    assert capsys.readouterr() == ("", "work\n")


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


@pytest.mark.parametrize("name", ["upper-codec", "entry", "upper-codec:entry"])
def test_disabled_plugins_are_left_out(fake_distribution, monkeypatch, name):
    """A plugin can be switched off by distribution, entry-point or scoped name, and an error then says so."""
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
