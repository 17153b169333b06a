"""The tool that breaks rules to see whether a test fails: what it changes, and what it makes of the outcome."""

from __future__ import annotations

import pytest

from tools import mutants as tool
from tools.mutations import Mutant, mutants

SOURCE = '''
"""Not 1 < 2 in a docstring."""
LIMITS: tuple[int, int] = (3, 4)


def rule(a: int, b: int) -> int:
    """Not 5 either."""
    if a < b and any([a]):
        return stable_hash([a, b])
    return derive_seed("x", a) if a == b else a + 1


__all__ = ["LIMITS", "rule"]
'''


def test_a_source_is_changed_in_one_place_at_a_time(tmp_path):
    """Each kind of change once, none in docstrings, annotations and public names, and every one another program that compiles."""
    (tmp_path / "m.py").write_text(SOURCE)
    found = mutants(tmp_path, "m.py")
    assert sorted(mutant.what for mutant in found) == sorted(
        [
            "(3, 4) -> without 3",
            "(3, 4) -> without 4",
            "3 -> 4",
            "4 -> 5",
            "If a < b and any([a]) -> not",
            "a < b and any([a]) -> Or",
            "a < b -> LtE",
            "any([a]) -> all",
            "[a, b] -> without a",
            "[a, b] -> without b",
            "IfExp a == b -> not",
            "a == b -> NotEq",
            "derive_seed(\"x\", a) -> without 'x'",
            'derive_seed("x", a) -> without a',
            "a + 1 -> Sub",
            "1 -> 2",
        ]
    )
    texts = {mutant.text for mutant in found}
    assert len(texts) == len(found)
    for text in texts:
        compile(text, "m.py", "exec")


def test_words_of_sql_are_changed_in_the_store_alone(tmp_path):
    """Constants and the constant parts of f-strings, but not docstrings."""
    source = 'def sql(n):\n    """a AND b"""\n    return f"SELECT avg({n}) FROM t WHERE a IS NOT NULL AND b > 1"\n'
    views = "ctxbench/store/views.py"
    (tmp_path / views).parent.mkdir(parents=True)
    for name, count in ((views, 4), ("ctxbench/other.py", 0)):
        (tmp_path / name).write_text(source)
        assert len(mutants(tmp_path, name)) == count
    changed = {mutant.text.partition("return ")[2].strip() for mutant in mutants(tmp_path, views)}
    assert "f'SELECT max({n}) FROM t WHERE a IS NOT NULL AND b > 1'" in changed
    assert "f'SELECT avg({n}) FROM t WHERE a IS NULL AND b > 1'" in changed


def test_equal_changes_have_different_names(tmp_path):
    """The list of reasons names them."""
    (tmp_path / "m.py").write_text("a = 1\nb = 1\n")
    assert [mutant.name for mutant in mutants(tmp_path, "m.py")] == ["m.py: 1 -> 2", "m.py: 1 -> 2 #2"]


@pytest.mark.parametrize(
    ("alive", "listed", "whole", "right", "said"),
    [
        ((), (), True, True, "40 of 40 mutants noticed (100.0%); 0 survive"),
        ((1, 2), (1, 2), True, True, "38 of 40 mutants noticed (95.0%); 2 survive (5.0%), 2 of them listed"),
        ((1, 2), (1,), True, False, "1 of them listed"),
        ((1,), (1, 2), True, False, "listed in mutants.txt, but noticed: m.py: 2"),
        ((), (99,), True, False, "listed in mutants.txt, but there is no such mutant: m.py: 99"),
        ((), (99,), False, True, "40 of 40"),  # a part of the files, or some that were drawn
        ((1, 2, 3), (1, 2, 3), True, False, "3 survive (7.5%)"),
    ],
)
def test_what_is_an_error(tmp_path, monkeypatch, capsys, alive, listed, whole, right, said):
    """A survivor without a reason, a reason that is no longer true, and too many of both."""
    reasons = tmp_path / "mutants.txt"
    reasons.write_text("# a comment\n\n" + "".join(f"m.py: {i} :: no difference :: at all\n" for i in listed))
    monkeypatch.setattr(tool, "REASONS", reasons)
    found = [Mutant("m.py", i, str(i), str) for i in range(40)]
    assert tool.report(found, [found[i] for i in alive], whole) is right
    assert said in capsys.readouterr().out
    assert set(tool.reasons().values()) <= {"no difference :: at all"}


def test_every_target_is_there():
    """A file or a test that was renamed would be left out in silence."""
    for file, tests in tool.TARGETS.items():
        assert (tool.SOURCE / file).is_file()
        for test in tests:
            assert (tool.ROOT / test).is_file(), test


def test_every_reason_is_of_a_mutant_that_exists():
    """Else the code has changed since, and the reason has to be looked at again."""
    names = {mutant.name for file in tool.TARGETS for mutant in mutants(tool.SOURCE, file)}
    assert set(tool.reasons()) <= names
    assert all(reason.strip() for reason in tool.reasons().values())
