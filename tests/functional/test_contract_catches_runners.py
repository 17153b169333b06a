"""Each rule for models, token counters and executors can fail: a component that breaks it is caught by contract and ``plugins check``."""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import attrs
import pytest

from ctxbench import Executor, ImageTokens, Model, Reading, TokenCounter, TokenUsage
from ctxbench.interfaces import Lost
from ctxbench.testing import ExecutorContract, ModelContract, TokenCounterContract
from ctxbench.testing.checking import check_rules
from ctxbench.testing.subject import Subject


def caught(contract, component, right, rule, error) -> None:
    """The rule passes on the right component; on the wrong one the test raises, and ``plugins check`` prints FAIL."""
    getattr(contract(), rule)(right())
    with pytest.raises(error):
        getattr(contract(), rule)(component())
    (result,) = check_rules(Subject(contract.kind, component()), only=[rule.removeprefix("test_")])
    assert result.outcome == "FAIL"
    assert result.text


@attrs.frozen
class GoodModel(Model):
    """Says how long the prompt is, and counts a token a character and a hundred a page."""

    def read(self, prompts):
        return [Reading(str(len(prompt.text)), usage=self.count(prompt)) for prompt in prompts]

    def count(self, prompt):
        pages = tuple(100 for _ in prompt.pages)
        return TokenUsage(len(prompt.text) + sum(pages), sum(pages), pages)


class ForgetsOne(GoodModel):
    def read(self, prompts):
        return super().read(prompts)[:-1]


class SaysStrings(GoodModel):
    def read(self, prompts):
        return [str(len(prompt.text)) for prompt in prompts]


class SaysNone(GoodModel):
    def read(self, prompts):
        return None


class SaysNumbers(GoodModel):
    def read(self, prompts):
        return [Reading(len(prompt.text)) for prompt in prompts]


class NegativeTime(GoodModel):
    def read(self, prompts):
        return [attrs.evolve(reading, generate_seconds=-1.0) for reading in super().read(prompts)]


class ErrorIsAnException(GoodModel):
    def read(self, prompts):
        return [Reading("", error=ValueError("no")) for _ in prompts]


class NegativeUsage(GoodModel):
    def count(self, prompt):
        return TokenUsage(-1)


class UsageAsText(GoodModel):
    def count(self, prompt):
        return TokenUsage("12")


class PagesDoNotSum(GoodModel):
    def count(self, prompt):
        return attrs.evolve(super().count(prompt), pages=tuple(99 for _ in prompt.pages))


class CountsOtherwise(GoodModel):
    def read(self, prompts):
        return [attrs.evolve(reading, usage=TokenUsage(7)) for reading in super().read(prompts)]


class Chats(GoodModel):
    """It remembers how often it was asked."""

    asked = itertools.count()

    def read(self, prompts):
        return [Reading(f"{next(self.asked)}") for _ in prompts]


class SortsAnswers(GoodModel):
    """Batches by length, and forgets to put the answers back."""

    def read(self, prompts):
        return super().read(sorted(prompts, key=lambda prompt: len(prompt.text)))


class DrawsOnPages(GoodModel):
    def read(self, prompts):
        for page in (page for prompt in prompts for page in prompt.pages):
            page.putpixel((0, 0), (1, 2, 3))
        return super().read(prompts)


class Stumbles(GoodModel):
    def read(self, prompts):
        return [Reading(str(1 / len(prompt.text) > 0)) for prompt in prompts]


class NoFingerprint(GoodModel):
    fingerprint = None


class DiesAfterClose(Model):
    def __init__(self):
        self.weights = "weights"

    def read(self, prompts):
        return [Reading(self.weights.upper()) for _ in prompts]

    def close(self):
        self.weights = None


class ClosesOnce(DiesAfterClose):
    def read(self, prompts):
        return [Reading("x") for _ in prompts]

    def close(self):
        del self.weights


@pytest.mark.parametrize(
    ("model", "rule", "error"),
    [
        (ForgetsOne, "test_every_prompt_gets_a_reading", AssertionError),
        (SaysStrings, "test_every_prompt_gets_a_reading", AssertionError),
        (SaysNone, "test_every_prompt_gets_a_reading", AssertionError),
        (SaysNumbers, "test_every_prompt_gets_a_reading", AssertionError),
        (NegativeTime, "test_every_prompt_gets_a_reading", AssertionError),
        (ErrorIsAnException, "test_every_prompt_gets_a_reading", AssertionError),
        (NegativeUsage, "test_usage_adds_up", AssertionError),
        (UsageAsText, "test_usage_adds_up", AssertionError),
        (PagesDoNotSum, "test_usage_adds_up", AssertionError),
        (CountsOtherwise, "test_usage_adds_up", AssertionError),
        (Chats, "test_the_same_prompt_gets_the_same_answer", AssertionError),
        (SortsAnswers, "test_the_order_of_prompts_changes_nothing", AssertionError),
        (DrawsOnPages, "test_prompts_are_left_alone", AssertionError),
        (Stumbles, "test_odd_prompts_are_answered_or_refused", ZeroDivisionError),
        (NoFingerprint, "test_it_says_what_it_is", AssertionError),
        (DiesAfterClose, "test_after_close_it_reads_or_says_why_not", AttributeError),
        (ClosesOnce, "test_after_close_it_reads_or_says_why_not", AttributeError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_model_is_caught(model, rule, error):
    """Whatever a model gets wrong would be that run's rows; its author sees it first."""
    caught(ModelContract, model, GoodModel, rule, error)


@attrs.define
class TakesRoom(GoodModel):
    """Fits into memory with an option that is no part of what it is."""

    room: int = 100

    @property
    def config(self):
        return {}

    def read(self, prompts):
        return [Reading("x")] * len(prompts) if self.room < 50 else [Reading("", error="too large")] * len(prompts)


def test_a_second_model_is_made_as_the_first_was():
    """Made from its config alone, one that was told how much memory to take would take all."""
    (result,) = check_rules(Subject("model", TakesRoom(room=10), options={"room": 10}), only=["after_close_it_reads_or_says_why_not"])
    assert (result.outcome, result.text) == ("ok", "reads again")


@attrs.frozen
class GoodCounter(TokenCounter):
    """A token for each 28 x 28 px begun, and one for each character."""

    side: int = 28
    source: ClassVar[str] = "made up for this test"

    def text(self, text):
        return len(text)

    def image(self, width, height):
        columns, rows = -(-width // self.side), -(-height // self.side)
        return ImageTokens(columns * rows, columns * self.side, rows * self.side)


class Negative(GoodCounter):
    def image(self, width, height):
        return attrs.evolve(super().image(width, height), tokens=-1)


class Fractions(GoodCounter):
    def image(self, width, height):
        return ImageTokens(width * height / 784, width, height)


class NothingForOnePixel(GoodCounter):
    def image(self, width, height):
        return ImageTokens(width * height // 784, width, height)


class RefusesSquares(GoodCounter):
    def image(self, width, height):
        if width == height:
            raise ValueError("no squares")
        return super().image(width, height)


class Shrinks(GoodCounter):
    def image(self, width, height):
        return attrs.evolve(super().image(width, height), tokens=max(1, 10_000 // width))


class CountsUp(GoodCounter):
    calls = itertools.count(1)

    def image(self, width, height):
        return attrs.evolve(super().image(width, height), tokens=next(self.calls))


class SaltedCounter(GoodCounter):
    def text(self, text):
        return len(text) + (hash(text) % 1009 if text else 0)


class NegativeText(GoodCounter):
    def text(self, text):
        return -len(text)


class TextSometimes(GoodCounter):
    def text(self, text):
        return None if text.isascii() else len(text)


class NegativeMarkers(GoodCounter):
    def image(self, width, height):
        return attrs.evolve(super().image(width, height), markers=-2)


class CostsForNoPages(GoodCounter):
    def overhead(self, pages):
        return 2


class NoSource(GoodCounter):
    source = ""


@pytest.mark.parametrize(
    ("counter", "rule", "error"),
    [
        (Negative, "test_images_cost_whole_positive_tokens", AssertionError),
        (Fractions, "test_images_cost_whole_positive_tokens", AssertionError),
        (NothingForOnePixel, "test_images_cost_whole_positive_tokens", AssertionError),
        (NegativeMarkers, "test_images_cost_whole_positive_tokens", AssertionError),
        (RefusesSquares, "test_images_cost_whole_positive_tokens", AssertionError),
        (Shrinks, "test_larger_pages_never_cost_much_less", AssertionError),
        (CountsUp, "test_counting_is_deterministic", AssertionError),
        (SaltedCounter, "test_counts_are_the_same_in_another_process", AssertionError),
        (NegativeText, "test_texts_are_counted", AssertionError),
        (TextSometimes, "test_texts_are_counted", AssertionError),
        (CostsForNoPages, "test_markers_are_counted", AssertionError),
        (NoSource, "test_the_source_is_cited", AssertionError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_counter_is_caught(counter, rule, error):
    """A wrong count would be a wrong compression ratio."""
    caught(TokenCounterContract, counter, GoodCounter, rule, error)


@attrs.frozen
class GoodExecutor(Executor):
    """In this process, one after the other."""

    def map(self, function, jobs, *, window):
        for job in jobs:
            yield function(job)


class DropsOne(GoodExecutor):
    def map(self, function, jobs, *, window):
        yield from itertools.islice(super().map(function, jobs, window=window), 1, None)


class RepeatsOne(GoodExecutor):
    def map(self, function, jobs, *, window):
        for i, result in enumerate(super().map(function, jobs, window=window)):
            yield result
            if i == 0:
                yield result


class TakesAll(GoodExecutor):
    def map(self, function, jobs, *, window):
        yield from map(function, list(jobs))


class OneTooMany(GoodExecutor):
    """Threads, with one job more in hand than the window allows."""

    def map(self, function, jobs, *, window):
        with ThreadPoolExecutor(2) as pool:
            running = []
            for job in jobs:
                running.append(pool.submit(function, job))
                if len(running) > window:
                    yield running.pop(0).result()
            yield from (future.result() for future in running)


class GoesOn(GoodExecutor):
    """Closing stops nobody: a thread works through the jobs."""

    def map(self, function, jobs, *, window):
        jobs = iter(jobs)
        first = next(jobs, None)
        if first is None:
            return
        done = [function(first)]
        thread = threading.Thread(target=lambda: done.extend(function(job) for job in jobs), daemon=True)
        try:
            yield done[0]
        finally:
            thread.start()
        thread.join()
        yield from done[1:]


class NoGenerator(GoodExecutor):
    def map(self, function, jobs, *, window):
        return map(function, jobs)


@pytest.mark.parametrize(
    ("executor", "rule"),
    [
        (DropsOne, "test_every_job_is_done_exactly_once"),
        (RepeatsOne, "test_every_job_is_done_exactly_once"),
        (TakesAll, "test_the_window_is_kept"),
        (OneTooMany, "test_the_window_is_kept"),
        (GoesOn, "test_closing_cancels"),
        (NoGenerator, "test_closing_cancels"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_executor_is_caught(executor, rule):
    """An executor that drops or repeats jobs, holds all pages at once or cannot be stopped."""
    caught(ExecutorContract, executor, GoodExecutor, rule, AssertionError)


class Careful(GoodExecutor):
    def map(self, function, jobs, *, window):
        for job in jobs:
            try:
                yield function(job)
            except Exception as error:
                yield self.lost(job, error)

    @staticmethod
    def lost(job, error):
        return Lost(job, "", type(error).__name__, str(error))


class LosesAnother(Careful):
    @staticmethod
    def lost(job, error):
        return Lost((0, False), "", type(error).__name__, str(error))


class SaysNothing(Careful):
    @staticmethod
    def lost(job, error):
        return Lost(job, "", type(error).__name__, "")


@pytest.mark.parametrize(
    ("executor", "error"), [(GoodExecutor, ZeroDivisionError), (LosesAnother, AssertionError), (SaysNothing, AssertionError)]
)
def test_an_executor_that_loses_more_than_one_job_is_caught(executor, error):
    """One bad job costs itself, and says why."""
    caught(ExecutorContract, executor, Careful, "test_an_exception_costs_one_job", error)


class InOtherProcesses(Careful):
    """Every job in a process of its own, by fork; ``lost`` is what happens to one whose process ends."""

    def map(self, function, jobs, *, window):
        for job in jobs:
            reader, writer = os.pipe()
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # threads of other tests do not matter to the child
                child = os.fork()
            if not child:
                os.write(writer, repr(function(job)).encode())
                os._exit(0)
            os.close(writer)
            with os.fdopen(reader) as pipe:
                said = pipe.read()
            os.waitpid(child, 0)
            if said:
                yield eval(said)
            else:
                yield from self.gone(job)

    @staticmethod
    def gone(job):
        yield Lost(job, "", "WorkerDied", "its process ended")


class SwallowsIt(InOtherProcesses):
    @staticmethod
    def gone(job):
        yield from ()


def test_an_executor_that_loses_the_dead_is_caught():
    """A job whose process ends must not vanish."""
    caught(ExecutorContract, SwallowsIt, InOtherProcesses, "test_a_job_that_ends_its_process_loses_no_other", AssertionError)
