"""Rules for components of every kind: what identifies them must be true."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Iterator
from typing import Any

import attrs

from ctxbench.options import SECRET
from ctxbench.testing.rule import Rule, require, settings, shown
from ctxbench.testing.subject import Subject


def config_round_trips(subject: Subject, given: Any) -> str:
    """``config`` is JSON, and makes an equal component."""
    config = settings(subject.component)
    again = settings(subject.again())
    require(again == config, f"config changes from {shown(config)} to {shown(again)} when the component is made from it")
    return f"{len(config)} options"


def the_config_stays_as_it_is(subject: Subject, given: Any) -> None:
    """Work changes neither ``config`` nor the options that the component was made with, and what ``config`` returns is the caller's."""
    before = json.dumps(settings(subject.component))
    options = copy.deepcopy(settings(subject.component) if subject.options is None else subject.options)
    handed = copy.deepcopy(options)
    made = subject.make(**handed)
    given.work(made)
    require(json.dumps(settings(made)) == before, f"work changes the config from {before} to {json.dumps(settings(made))}")
    require(handed == options, f"work changes the options that the component was made with from {options} to {handed}")
    made.config["changed by the caller"] = True
    require(json.dumps(settings(made)) == before, "config hands out the component's own dictionary; return a copy")
    if subject.kind == "model":  # making one more may take long
        return
    again = json.dumps(settings(subject.make(**copy.deepcopy(options))))
    require(again == before, f"after work the same options make another config: {before} becomes {again}")


def the_config_hides_no_option(subject: Subject, given: Any) -> str:
    """Two components made with different options have different configs, by which they share stored results or do not.

    Left out may be what is declared as a secret, or as changing no output, and what is refused beside the component's other options.
    """
    config = settings(subject.component)
    parameters = subject.parameters()
    names = [name for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    counted = [name for name in names if name not in _left_out(subject)]
    absent = [name for name in counted if name not in config]
    hidden = [name for name in absent if _takes(subject, config, name, parameters[name].default)]
    counted = [name for name in counted if name in config]
    advice = "make the class an attrs class, or return every option from config (one that changes no output belongs into neutral_options)"
    require(not hidden, f"config leaves out {', '.join(hidden)}: components that differ in it would share stored results; {advice}")
    for name, value in (subject.options or {}).items():
        shows = name in config or name in _left_out(subject)
        require(shows, f"config leaves out {name}, which was set to {shown(value)}; {advice}")
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        _check_any_option(subject, config, advice)
    for name in counted:
        _check_other_values(subject, config, name)
    return ", ".join(counted) or "no options"


def _takes(subject: Subject, config: dict[str, Any], name: str, default: Any) -> bool:
    """Whether an option can be given beside those of ``config``; so it is taken to be where trying takes long, or has nothing to try."""
    if subject.kind == "model" or default is inspect.Parameter.empty:
        return True
    try:
        subject.make(**{**config, name: default})
    except Exception:
        return False
    return True


def _left_out(subject: Subject) -> set[str]:
    """Options that the component declares as no part of what it is: those that change no output, and secrets."""
    component = subject.component
    found = {*component.neutral_options, *subject.secrets()}
    if attrs.has(type(component)):
        found |= {field.alias or field.name for field in attrs.fields(type(component)) if field.metadata.get(SECRET)}
    return found


def _check_any_option(subject: Subject, config: dict[str, Any], advice: str) -> None:
    unknown = "an_option_that_there_is_not"
    try:
        made = subject.make(**{**config, unknown: 1})
    except Exception:
        return
    require(
        unknown in settings(made), f"any option is taken and does not show in config, a misspelt one too; name the options, or {advice}"
    )


def _check_other_values(subject: Subject, config: dict[str, Any], name: str) -> None:
    taken = []
    for value in _others(subject, name, config[name]):
        if value == config[name]:
            continue
        try:
            made = subject.make(**{**config, name: value})
        except Exception:
            continue  # not every value is a good one
        taken.append(value)
        if settings(made) != config:
            return
    require(not taken, f"{name}={shown(config[name])} and {name}={shown(taken[0] if taken else None)} have the same config")


def _others(subject: Subject, name: str, value: Any) -> Iterator[Any]:
    """Other values that the option may take. Making a model can take long, so its options are not varied."""
    if subject.kind == "model":
        return
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value * 2, value // 2, value - 1)
    elif isinstance(value, float):
        yield from (value / 2, value * 2, value + 0.25)
    if attrs.has(type(subject.component)):
        field = attrs.fields_dict(type(subject.component)).get(name)
        choices = getattr(getattr(field, "validator", None), "options", ())
        yield from choices


def the_version_is_a_number(subject: Subject, given: Any) -> str:
    """``version`` is a whole number from 1, so that it can be raised when the same input gives another output."""
    version = subject.component.version
    good = isinstance(version, int) and not isinstance(version, bool) and version >= 1
    require(good, f"version must be a whole number from 1, got {version!r}")
    return f"version {version}"


COMMON: tuple[Rule, ...] = tuple(
    Rule(check) for check in (config_round_trips, the_config_stays_as_it_is, the_config_hides_no_option, the_version_is_a_number)
)
"""Rules that every kind of component keeps."""
