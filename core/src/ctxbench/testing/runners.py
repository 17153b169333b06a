"""The contracts of models and executors."""

from __future__ import annotations

import pytest

from ctxbench.interfaces import Component, Executor, Model
from ctxbench.testing import executor_rules, model_rules
from ctxbench.testing.contract import Contract


class ModelContract(Contract):
    """Rules for a model; override :meth:`model`."""

    kind = "model"

    @pytest.fixture
    def model(self) -> Model:
        """The model under test."""
        raise NotImplementedError("override the fixture 'model'")

    @pytest.fixture
    def component(self, model: Model) -> Component:
        """The model, for the rules of all components."""
        return model

    def given(self) -> model_rules.ModelGiven:
        """What the rules try the model with."""
        return model_rules.ModelGiven()

    def test_every_prompt_gets_a_reading(self, model: Model) -> None:
        """As many readings as prompts, none for none, each of the right types."""
        self.hold(model_rules.every_prompt_gets_a_reading, model)

    def test_usage_adds_up(self, model: Model) -> None:
        """Token usage, where a model tells it, is whole numbers that fit together."""
        self.hold(model_rules.usage_adds_up, model)

    def test_the_same_prompt_gets_the_same_answer(self, model: Model) -> None:
        """Asked again, a model says the same."""
        self.hold(model_rules.the_same_prompt_gets_the_same_answer, model)

    def test_the_order_of_prompts_changes_nothing(self, model: Model) -> None:
        """Each answer belongs to its prompt, in whatever order they stand."""
        self.hold(model_rules.the_order_of_prompts_changes_nothing, model)

    def test_prompts_are_left_alone(self, model: Model) -> None:
        """Reading and counting change no page."""
        self.hold(model_rules.prompts_are_left_alone, model)

    def test_odd_prompts_are_answered_or_refused(self, model: Model) -> None:
        """An answer, an error of that one reading, or one of ctxbench's errors."""
        self.hold(model_rules.odd_prompts_are_answered_or_refused, model)

    def test_it_says_what_it_is(self, model: Model) -> None:
        """``fingerprint``, ``adapter_fingerprint`` and ``family`` are text."""
        self.hold(model_rules.it_says_what_it_is, model)

    def test_after_close_it_reads_or_says_why_not(self, model: Model) -> None:
        """After ``close`` the model answers as before, or says in one of our errors that it cannot."""
        self.hold(model_rules.after_close_it_reads_or_says_why_not, model)


class ExecutorContract(Contract):
    """Rules for an executor; override :meth:`executor`."""

    kind = "executor"

    @pytest.fixture
    def executor(self) -> Executor:
        """The executor under test."""
        raise NotImplementedError("override the fixture 'executor'")

    @pytest.fixture
    def component(self, executor: Executor) -> Component:
        """The executor, for the rules of all components."""
        return executor

    def given(self) -> executor_rules.ExecutorGiven:
        """What the rules try the executor with."""
        return executor_rules.ExecutorGiven()

    def test_every_job_is_done_exactly_once(self, executor: Executor) -> None:
        """One result a job, in any order."""
        self.hold(executor_rules.every_job_is_done_exactly_once, executor)

    def test_the_window_is_kept(self, executor: Executor) -> None:
        """Never more than ``window`` jobs taken and not yet yielded."""
        self.hold(executor_rules.the_window_is_kept, executor)

    def test_closing_cancels(self, executor: Executor) -> None:
        """After the iterator is closed no further job is taken or started."""
        self.hold(executor_rules.closing_cancels, executor)

    def test_an_exception_costs_one_job(self, executor: Executor) -> None:
        """An exception that leaves the function gives ``Lost`` for its job and nothing else."""
        self.hold(executor_rules.an_exception_costs_one_job, executor)

    def test_a_job_that_ends_its_process_loses_no_other(self, executor: Executor) -> None:
        """A job that ends its process gives ``Lost`` for itself and nothing else."""
        self.hold(executor_rules.a_job_that_ends_its_process_loses_no_other, executor)
