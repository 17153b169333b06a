"""The contract of tasks. Subclass :class:`TaskContract` in your tests and override the fixture ``task``."""

from __future__ import annotations

import pytest

from ctxbench.interfaces import Component, Task
from ctxbench.testing import task_rules as rules
from ctxbench.testing.contract import Contract


class TaskContract(Contract):
    """Rules for a task; override :meth:`task`."""

    kind = "task"

    buckets: tuple[int, ...] = (128, 512, 2048)
    """Lengths that are tried."""

    @pytest.fixture
    def task(self) -> Task:
        """The task under test."""
        raise NotImplementedError("override the fixture 'task'")

    @pytest.fixture
    def component(self, task: Task) -> Component:
        """The task, for the rules of all components."""
        return task

    def given(self) -> rules.TaskGiven:
        """What the rules try the task with."""
        return rules.TaskGiven(self.buckets)

    def test_contexts_have_the_length_that_was_asked_for(self, task: Task) -> None:
        """Within 1 % of the bucket, or one token where that is more."""
        self.hold(rules.contexts_have_the_length_that_was_asked_for, task)

    def test_one_seed_is_one_sample(self, task: Task) -> None:
        """Equal seeds give equal samples, other seeds other ones."""
        self.hold(rules.one_seed_is_one_sample, task)

    def test_samples_are_the_same_in_another_process(self, task: Task) -> None:
        """Hash randomisation changes nothing."""
        self.hold(rules.samples_are_the_same_in_another_process, task)

    def test_a_perfect_reader_finds_the_answer(self, task: Task) -> None:
        """``solve`` needs nothing but context and question, and survives a damaged context."""
        self.hold(rules.a_perfect_reader_finds_the_answer, task)

    def test_a_perfect_reader_needs_nothing_else(self, task: Task) -> None:
        """``solve`` works in a process that never made the sample."""
        self.hold(rules.a_perfect_reader_needs_nothing_else, task)

    def test_samples_say_what_they_are(self, task: Task) -> None:
        """Bucket, language and JSON metadata are filled in."""
        self.hold(rules.samples_say_what_they_are, task)

    def test_impossible_lengths_are_refused(self, task: Task) -> None:
        """A context of no or negative length is a SampleError in one line."""
        self.hold(rules.impossible_lengths_are_refused, task)

    def test_the_primary_score_is_named(self, task: Task) -> None:
        """Something decides what is correct, and the metrics that the task names are there."""
        self.hold(rules.the_primary_score_is_named, task)

    def test_the_reference_answer_is_correct(self, task: Task) -> None:
        """The sample's own answer scores 1 where the task says that this decides."""
        self.hold(rules.the_reference_answer_is_correct, task)
