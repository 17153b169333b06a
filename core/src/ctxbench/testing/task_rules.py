"""The rules that every task keeps."""

from __future__ import annotations

import json
from typing import cast

import attrs

from ctxbench import tokens
from ctxbench.errors import SampleError
from ctxbench.interfaces import Metric, Task
from ctxbench.records import Sample, Scores
from ctxbench.registry import load_plugins
from ctxbench.testing.component_rules import COMMON
from ctxbench.testing.rule import NotApplicable, Rule, one_line, require, shown
from ctxbench.testing.subject import Subject


@attrs.frozen
class TaskGiven:
    """What the rules try a task with: lengths in reference tokens."""

    buckets: tuple[int, ...] = (128, 512, 2048)

    def work(self, task: Task) -> None:
        """A little of what a task is for."""
        sample = task.sample(self.buckets[0], 1)
        task.solve(sample.context, sample.question)

    @classmethod
    def fitting(cls, task: Task) -> TaskGiven:
        """The usual lengths but for those that the task, with the options it has, refuses as it may."""
        return cls(tuple(bucket for bucket in cls().buckets if _takes(task, bucket)) or cls().buckets)


def _takes(task: Task, bucket: int) -> bool:
    try:
        task.sample(bucket, 0)
    except SampleError:
        return False
    except Exception:  # not a refusal: a rule will tell
        return True
    return True


def _needs_size(task: Task) -> None:
    if not task.sized:
        raise NotApplicable("its contexts have the length they have")


def contexts_have_the_length_that_was_asked_for(subject: Subject, given: TaskGiven) -> str:
    """Within 1 % of the bucket, or one token where that is more."""
    _needs_size(subject.component)
    found = []
    for bucket in given.buckets:
        counts = [tokens.count_text(subject.component.sample(bucket, seed).context) for seed in range(4)]
        for count in counts:
            require(abs(count - bucket) <= max(1, bucket / 100), f"a context of {count} reference tokens for a bucket of {bucket}")
        found.append(f"{min(counts)} to {max(counts)} for {bucket}" if min(counts) < max(counts) else f"{counts[0]} for {bucket}")
    return f"reference tokens: {', '.join(found)}"


def one_seed_is_one_sample(subject: Subject, given: TaskGiven) -> None:
    """Equal seeds give equal samples, other seeds other ones."""
    task, bucket = subject.component, given.buckets[0]
    require(task.sample(bucket, 5) == task.sample(bucket, 5), "one seed gives two different samples")
    supply = task.supply(bucket)
    if supply is None:
        contexts = {task.sample(bucket, seed).context for seed in range(8)}
        require(len(contexts) == 8, f"8 seeds give only {len(contexts)} different contexts")
        return
    there = min(8, supply)
    found = {(sample.context, sample.question) for sample in (task.sample(bucket, seed) for seed in range(there))}
    require(len(found) == there, f"the first {there} of {supply} samples hold only {len(found)} different ones")
    require(task.sample(bucket, supply) == task.sample(bucket, 0), "a seed beyond the supply does not count round")


def samples_are_the_same_in_another_process(subject: Subject, given: TaskGiven) -> None:
    """Hash randomisation changes nothing."""
    sample = subject.component.sample(given.buckets[0], 9)
    mine = [[sample.context, sample.question, sample.answer, sample.metadata]]
    for theirs in subject.in_fresh_process(["sample", given.buckets[0], 9]):
        require(theirs == mine, f"another process makes another sample of the same seed: {_difference(theirs[0], mine[0])}")


def _difference(theirs: list[object], mine: list[object]) -> str:
    for what, left, right in zip(("context", "question", "answer", "metadata"), theirs, mine, strict=True):
        if left != right:
            return f"its {what} is {shown(left)} instead of {shown(right)}"
    return "nothing"


def a_perfect_reader_finds_the_answer(subject: Subject, given: TaskGiven) -> str:
    """``solve`` finds the answer from context and question, and survives a damaged context."""
    task = subject.component
    for bucket in given.buckets:
        for seed in range(4):
            sample = task.sample(bucket, seed)
            found = task.solve(sample.context, sample.question)
            wrong = f"solve finds {shown(found)}, and the sample's answer is {shown(sample.answer)} (bucket {bucket}, seed {seed})"
            require(found == sample.answer, wrong)
            for damaged in ("", sample.context[: len(sample.context) // 2], sample.context.swapcase(), "\x00" * 50):
                answer = task.solve(damaged, sample.question)
                require(isinstance(answer, str), f"solve returns {type(answer).__name__} for a damaged context")
    return f"{4 * len(given.buckets)} samples"


def a_perfect_reader_needs_nothing_else(subject: Subject, given: TaskGiven) -> None:
    """``solve`` works in a process that never made the sample: it knows nothing but its arguments and the task's options."""
    sample = subject.component.sample(given.buckets[0], 3)
    ((found,),) = subject.in_fresh_process(["solve", sample.context, sample.question], seeds=("1",))
    says = f"solve finds {shown(found)} in a process that never made the sample, and the answer is {shown(sample.answer)}"
    require(found == sample.answer, says)


def samples_say_what_they_are(subject: Subject, given: TaskGiven) -> None:
    """Bucket, language and JSON metadata are filled in, and every part has its type."""
    sample = subject.component.sample(given.buckets[0], 1)
    require(isinstance(sample, Sample), f"sample returned {type(sample).__name__}, not a Sample")
    for name in ("context", "question", "answer"):
        value = getattr(sample, name)
        require(isinstance(value, str) and value.strip(), f"the {name} must be text that is not empty, got {shown(value)}")
    require(sample.bucket == given.buckets[0], f"the sample says bucket {sample.bucket}, asked was {given.buckets[0]}")
    require(sample.language in ("en", "zh"), f"the language must be 'en' or 'zh', got {sample.language!r}")
    try:
        same = json.loads(json.dumps(sample.metadata)) == sample.metadata
    except (TypeError, ValueError) as error:
        raise AssertionError(f"the metadata is not JSON: {error}") from error
    require(same, f"the metadata is not the same after JSON: {shown(sample.metadata)}")


def impossible_lengths_are_refused(subject: Subject, given: TaskGiven) -> None:
    """A context of no or negative length is a SampleError in one line."""
    _needs_size(subject.component)
    for bucket in (0, -5, 1):
        try:
            subject.component.sample(bucket, 0)
        except SampleError as error:
            one_line(error)
        else:
            raise AssertionError(f"a bucket of {bucket} tokens gives a sample instead of a SampleError")


def the_primary_score_is_named(subject: Subject, given: TaskGiven) -> str:
    """Something decides what is correct, and the metrics that the task names are there."""
    task = subject.component
    require(isinstance(task.primary_score, str) and task.primary_score, "primary_score names no score, so nothing can be correct")
    require(isinstance(task.metrics, tuple) and task.metrics, "metrics must be a tuple of names of metrics")
    registry = load_plugins()
    for name in (*task.metrics, task.primary_score):
        if name not in registry.names("metric"):
            raise AssertionError(f"no installed plugin offers the metric {name!r}; there are {', '.join(registry.names('metric'))}")
    return f"{task.primary_score}, of {', '.join(task.metrics)}"


def the_reference_answer_is_correct(subject: Subject, given: TaskGiven) -> None:
    """The sample's own answer scores 1 where the task says that this decides."""
    task = subject.component
    metric = cast(Metric, load_plugins().make("metric", task.primary_score))
    for bucket in given.buckets:
        sample = task.sample(bucket, 2)
        try:
            found = metric.score(sample.answer, sample)
        except Exception as error:
            raise AssertionError(f"{task.primary_score} cannot score the reference answer {shown(sample.answer)}: {error}") from error
        value = dict(found.values if isinstance(found, Scores) else found).get(task.primary_score)
        require(value == 1.0, f"{task.primary_score} of the reference answer is {value}, not 1 (bucket {bucket}, seed 2)")


RULES: tuple[Rule, ...] = (
    *COMMON,
    *map(
        Rule,
        (
            contexts_have_the_length_that_was_asked_for,
            one_seed_is_one_sample,
            samples_are_the_same_in_another_process,
            a_perfect_reader_finds_the_answer,
            a_perfect_reader_needs_nothing_else,
            samples_say_what_they_are,
            impossible_lengths_are_refused,
            the_primary_score_is_named,
            the_reference_answer_is_correct,
        ),
    ),
)
"""Every rule for tasks."""
