"""What a worker tells its parent about the stage that it is in."""

from __future__ import annotations

import pickle

from ctxbench.executors.stages import SLOT_BYTES, StageSlot, report_stage, reporting
from ctxbench.executors.worker import _answer


def slot(memory: bytearray, index: int = 0) -> StageSlot:
    return StageSlot(memory, index)


def square(number: int) -> int:
    report_stage("encode")
    return number**2


def test_the_other_side_reads_what_was_reported():
    """Also in the second place of the memory; the first stays as it was."""
    memory = bytearray(2 * SLOT_BYTES)
    writer, reader = slot(memory, 1), slot(memory, 1)
    writer.begin(7)
    first = reader.read()
    writer.report("augment")
    state = reader.read()
    assert first is not None
    assert state is not None
    assert (first.job, first.stage, state.job, state.stage) == (7, "", 7, "augment")
    assert state.since >= first.since > 0
    assert memory[:SLOT_BYTES] == bytes(SLOT_BYTES)


def test_a_state_that_is_being_written_is_not_believed():
    """A worker may be killed in the middle of a report; half of one stage and half of another would blame the wrong one."""
    memory = bytearray(SLOT_BYTES)
    slot(memory).report("encode")
    memory[0] += 1
    assert slot(memory).read() is None


def test_long_names_and_other_alphabets_fit():
    memory = bytearray(2 * SLOT_BYTES)
    slot(memory).report("阶段" * 40)
    state = slot(memory).read()
    assert state is not None
    assert state.stage == "阶段" * 8
    assert memory[SLOT_BYTES:] == bytes(SLOT_BYTES)


def test_a_new_worker_begins_with_an_empty_slot():
    memory = bytearray(b"x" * SLOT_BYTES)
    slot(memory).clear()
    state = slot(memory).read()
    assert state is not None
    assert (state.job, state.stage) == (0, "")


def test_handing_over_an_answer_is_in_no_stage():
    """The parent may be slow to take it, and the stage's limit must not count that."""
    memory = bytearray(SLOT_BYTES)
    worker = slot(memory)
    worker.begin(1)
    with reporting(worker.report):
        assert pickle.loads(_answer(square, pickle.dumps(3), worker)) == (9, None)
    state = slot(memory).read()
    assert state is not None
    assert state.stage == ""


def test_a_report_outside_a_job_is_nobodys():
    """Functions report their stage wherever they run."""
    seen: list[str] = []
    with reporting(seen.append):
        report_stage("encode")
    report_stage("augment")
    assert seen == ["encode"]
