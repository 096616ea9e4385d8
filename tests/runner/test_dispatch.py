"""Which jobs run, and what becomes of those that end."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from pipeline.jobs import cancel, result
from pipeline.jobs.record import Job
from pipeline.jobs.result import Failed, Outcome
from pipeline.jobs.spool import Spool
from pipeline.runner import dispatch, faults
from pipeline.runner.dispatch import Dispatch
from pipeline.runner.executor import Executor
from pipeline.runner.faults import Faults
from pipeline.runner.publisher import Publisher
from tests.runner.conftest import DONE, FakeExecutor, FakeRun, admit

SWEEP = "sweep: {seed: [1, 2, 3, 4]}"


class Desk:
    """A dispatch with what it works with."""

    def __init__(
        self,
        spool: Spool,
        tmp_path: Path,
        capacity: int = 1,
        max_jobs: int | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.spool = spool
        self.executor = FakeExecutor(capacity)
        self.said: list[str] = []
        self.publisher = Publisher(spool, tmp_path / "outbox", self.said.append)
        self.faults = Faults()
        self.dispatch = Dispatch(
            spool, executor or self.executor, self.publisher, self.faults, max_jobs, 1800, lambda: None
        )

    def turn(self, stopping: bool = False) -> None:
        self.dispatch.turn(not stopping, stopping)
        self.publisher.turn()


def test_as_many_jobs_run_as_there_is_room_for(spool: Spool, tmp_path: Path) -> None:
    ids = [admit(spool, name) for name in "abc"]
    desk = Desk(spool, tmp_path, capacity=2)
    desk.turn()
    assert list(desk.dispatch.running) == ids[:2]
    desk.executor.runs[1].fail("a reason")
    desk.turn()
    assert list(desk.dispatch.running) == [ids[0], ids[2]]
    assert [line.split(": ")[1] for line in desk.said] == ["a reason"]
    assert (spool.failed / ids[1]).is_dir()


def test_a_job_whose_worker_died_is_started_again_and_counts_once(spool: Spool, tmp_path: Path) -> None:
    job_id, _ = admit(spool, "a"), admit(spool, "b")
    desk = Desk(spool, tmp_path, max_jobs=1)
    desk.turn()
    desk.executor.runs[0].die()
    desk.turn()
    desk.turn()
    assert list(desk.dispatch.running) == [job_id]
    desk.executor.runs[1].fail("a reason")
    desk.turn()
    assert desk.dispatch.is_at_limit
    assert not desk.dispatch.running


def test_a_stop_is_the_runs_own(spool: Spool, tmp_path: Path) -> None:
    first, second = admit(spool, "a"), admit(spool, "b")
    desk = Desk(spool, tmp_path, capacity=2)
    desk.turn()
    desk.executor.runs[0].die()
    desk.turn(stopping=True)
    assert not desk.dispatch.running
    assert {job_id: Job.load(spool.queued / job_id).deaths for job_id in (first, second)} == {first: 1, second: 0}


def test_a_worker_ended_by_somebody_else_is_replaced_and_counted(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "TOGETHER_SECONDS", 0.0)
    job_id = admit(spool, "a")
    desk = Desk(spool, tmp_path)
    for deaths in range(3):
        desk.turn()
        assert len(desk.executor.runs) == deaths + 1
        desk.executor.runs[-1].begin()
        desk.executor.runs[-1].stop()
        desk.turn()
        assert desk.executor.runs[deaths].killed == 1, "a process that was told to end takes no other job"
    desk.turn()
    assert (spool.failed / job_id).is_dir()
    assert "died or hung 3 times" in desk.said[0]


@pytest.mark.parametrize("more", ["", SWEEP], ids=["a job", "a sweep"])
def test_a_worker_that_hears_the_stop_before_its_runner_has_not_died(spool: Spool, tmp_path: Path, more: str) -> None:
    job_id = admit(spool, "a", more)
    desk = Desk(spool, tmp_path)
    desk.turn()
    desk.executor.runs[0].begin()
    desk.executor.runs[0].stop()  # by a signal to the whole group
    desk.turn()
    assert list(desk.dispatch.running) == [job_id], "it may be for all"
    desk.turn(stopping=True)
    assert Job.load(spool.queued / job_id).deaths == 0


def test_workers_that_die_before_they_have_begun_are_no_jobs_fault(spool: Spool, tmp_path: Path) -> None:
    job_id = admit(spool, "a")
    desk = Desk(spool, tmp_path)
    for number in range(3):
        assert desk.faults.standing == {}
        desk.turn()
        desk.executor.runs[number].future.set_result(Outcome("died"))
        desk.turn()
    assert "ended 3 times before it had begun a job" in desk.faults.standing["the worker"]
    assert Job.load(spool.queued / job_id).deaths == 0


def test_who_is_told_to_stop_and_makes_no_step_is_ended_after_a_minute(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = admit(spool, "a")
    desk = Desk(spool, tmp_path)
    desk.turn()
    (run,) = desk.executor.runs
    run.begin()
    run.stop = lambda: None  # type: ignore[method-assign]
    begun = time.monotonic()
    desk.turn(stopping=True)
    monkeypatch.setattr(time, "monotonic", lambda: begun + 50)
    desk.turn(stopping=True)
    assert run.killed == 0
    monkeypatch.setattr(time, "monotonic", lambda: begun + 61)
    desk.turn(stopping=True)
    assert run.killed == 1
    run.future.set_result(Outcome("died"))
    desk.turn(stopping=True)
    assert Job.load(spool.queued / job_id).deaths == 0


def test_a_workers_fault_is_told_once_until_it_is_mended(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pipeline.runner.faults")
    monkeypatch.setattr(faults, "PAUSE_SECONDS", 0.0)
    admit(spool, "a")
    desk = Desk(spool, tmp_path)
    for _ in range(3):
        desk.turn()
        desk.executor.runs[-1].future.set_result(Outcome("fault", "no weights"))
        desk.turn()
    assert [record.message for record in caplog.records] == ["no weights. Nothing is lost; trying again every 0 s."]
    assert desk.faults.standing == {"the worker": "no weights"}
    desk.turn()
    desk.executor.runs[-1].fail("too small")
    desk.turn()
    assert caplog.messages[1:] == ["the worker: works again"]


def test_nothing_starts_while_the_worker_is_at_fault(spool: Spool, tmp_path: Path) -> None:
    admit(spool, "a")
    desk = Desk(spool, tmp_path)
    desk.faults.note("the worker", "no weights")
    desk.turn()
    assert desk.executor.runs == []


def test_a_run_without_a_step_is_ended(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    admit(spool, "a")
    desk = Desk(spool, tmp_path)
    desk.turn()
    begun = time.monotonic()
    line = b'{"step": 1, "scale": 64, "total": 1.0, "content": 0.0, "style": 1.0, "total_variation": 0.0}\n'
    for hours in (0.4, 0.8, 1.2):
        desk.executor.runs[0].attempt.mkdir(exist_ok=True)
        with (desk.executor.runs[0].attempt / "loss.jsonl").open("ab") as file:
            file.write(line)
        monkeypatch.setattr(time, "monotonic", lambda hours=hours: begun + 3600 * hours)
        desk.turn()
    assert desk.executor.runs[0].killed == 0
    for hours in (1.5, 1.8):
        monkeypatch.setattr(time, "monotonic", lambda hours=hours: begun + 3600 * hours)
        desk.turn()
    assert desk.executor.runs[0].killed == 1


def test_a_damaged_job_fails_and_the_next_runs(spool: Spool, tmp_path: Path) -> None:
    damaged, good = admit(spool, "a"), admit(spool, "b")
    record = spool.queued / damaged / "job.json"
    record.write_bytes(record.read_bytes()[:100])
    desk = Desk(spool, tmp_path)
    desk.turn()
    assert list(desk.dispatch.running) == [good]
    assert "its record is not one of this version" in desk.said[0]
    assert (spool.failed / damaged / "job.json").exists()


def test_a_cancelled_job_is_stopped_and_filed_and_the_next_runs(spool: Spool, tmp_path: Path) -> None:
    first, second = admit(spool, "a"), admit(spool, "b")
    desk = Desk(spool, tmp_path)
    desk.turn()
    cancel.mark(spool.running / first, "ann")
    desk.turn()
    desk.turn()
    assert list(desk.dispatch.running) == [second]
    assert desk.said == [f"cancelled  {tmp_path}/outbox/{first}/a.json: {desk.said[0].split(': ', 1)[1]}"]
    assert "cancelled by ann" in desk.said[0]
    assert (desk.publisher.tally.done, desk.publisher.tally.failed) == (0, 0)
    assert (spool.failed / first).is_dir()
    assert not cancel.is_marked(spool.failed / first)


def test_a_cancelled_job_that_does_not_end_is_ended(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = admit(spool, "a")
    desk = Desk(spool, tmp_path)
    desk.turn()
    (run,) = desk.executor.runs
    run.stop = lambda: None  # type: ignore[method-assign]
    cancel.mark(spool.running / job_id, "ann")
    begun = time.monotonic()
    desk.turn()
    assert run.killed == 0
    for seconds in (20, 31):
        monkeypatch.setattr(time, "monotonic", lambda seconds=seconds: begun + seconds)
        desk.turn()
    assert run.killed == 1
    run.future.set_result(Outcome("died"))
    desk.turn()
    assert (spool.failed / job_id).is_dir()


def test_a_job_that_is_through_when_it_is_cancelled_is_published(spool: Spool, tmp_path: Path) -> None:
    job_id = admit(spool, "a")
    desk = Desk(spool, tmp_path)
    desk.turn()
    desk.executor.runs[0].fail("too small")
    cancel.mark(spool.running / job_id, "ann")
    desk.turn()
    assert "too small" in desk.said[0]


class TestASweep:
    def parts(self, desk: Desk) -> list[str]:
        return [run.attempt.name for run in desk.executor.runs]

    def test_is_spread_over_the_workers_that_are_free_and_then_its_sheet_is_drawn(
        self, spool: Spool, tmp_path: Path
    ) -> None:
        admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path, capacity=3, max_jobs=1)
        desk.turn()
        assert self.parts(desk) == ["001", "002", "003"]
        desk.executor.runs[1].fail("one that cannot be painted")
        desk.turn()
        assert self.parts(desk) == ["001", "002", "003", "004"]
        for number in (0, 2, 3):
            desk.executor.runs[number].fail("likewise")
            desk.turn()
        assert self.parts(desk)[4:] == ["attempt-1"]
        assert desk.said == []
        desk.executor.runs[4].fail("of the whole")
        desk.turn()
        assert [line.split(": ")[1] for line in desk.said] == ["of the whole"]
        assert desk.dispatch.is_idle

    def test_takes_in_workers_that_come_later(self, spool: Spool, tmp_path: Path) -> None:
        admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path)
        desk.turn()
        assert self.parts(desk) == ["001"]
        desk.executor.capacity = 9
        desk.turn()
        assert self.parts(desk) == ["001", "002", "003", "004"]

    def test_leaves_the_next_free_worker_to_what_comes_before_it(self, spool: Spool, tmp_path: Path) -> None:
        admit(spool, "b", SWEEP)
        desk = Desk(spool, tmp_path, capacity=2)
        desk.turn()
        admit(spool, "c")
        urgent = admit(spool, "d", f"priority: 1\n{SWEEP}")
        for number in range(3):
            desk.executor.runs[number].fail("done with")
            desk.turn()
        assert self.parts(desk) == ["001", "002", "001", "002", "003"]
        assert {run.attempt.parents[2].name for run in desk.executor.runs[2:]} == {urgent}

    def test_whose_worker_dies_goes_on_with_one_death_counted(self, spool: Spool, tmp_path: Path) -> None:
        job_id = admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path, capacity=2)
        desk.turn()
        first, second = desk.executor.runs
        first.die()
        desk.turn()
        assert second.future.result().kind == "stopped"
        desk.turn()
        assert self.parts(desk) == ["001", "002"] * 2
        assert {run.attempt.parent.parent.name for run in desk.executor.runs[2:]} == {"attempt-2"}
        assert Job.load(spool.running / job_id).deaths == 1

    def test_that_gets_pictures_done_between_deaths_does_not_fail_for_them(self, spool: Spool, tmp_path: Path) -> None:
        job_id = admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path)
        for deaths in range(1, 4):
            desk.turn()
            paint(desk.executor.runs[-1])
            desk.turn()
            desk.executor.runs[-1].die()
            desk.turn()
            assert Job.load(spool.running / job_id).attempts == deaths + 1
        assert self.parts(desk) == ["001", "002", "002", "003", "003", "004", "004"]
        assert desk.said == []

    def test_keeps_what_a_worker_that_dies_has_finished(self, spool: Spool, tmp_path: Path) -> None:
        admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path, capacity=2)
        desk.turn()
        first, second = desk.executor.runs
        result.leave(first.attempt, Failed(reason="is through"))
        first.die()
        desk.turn()
        assert not second.future.done()
        assert self.parts(desk) == ["001", "002", "003"]

    def test_that_is_stopped_goes_back_when_all_its_workers_have_ended(self, spool: Spool, tmp_path: Path) -> None:
        job_id = admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path, capacity=2)
        desk.turn()
        slow = desk.executor.runs[1]
        slow.stop = lambda: None  # type: ignore[method-assign]
        desk.turn(stopping=True)
        assert list(desk.dispatch.running) == [job_id]
        slow.future.set_result(Outcome("stopped"))
        desk.turn(stopping=True)
        assert (spool.queued / job_id).is_dir()
        assert Job.load(spool.queued / job_id).deaths == 0

    def test_whoever_was_told_to_stop_takes_no_other_part_even_if_it_came_through(
        self, spool: Spool, tmp_path: Path
    ) -> None:
        admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path, capacity=2)
        desk.turn()
        first, second = desk.executor.runs
        second.stop = lambda: None  # type: ignore[method-assign]
        first.die()
        desk.turn()
        second.fail("came through")
        desk.turn()
        assert second.killed == 1

    def test_a_part_that_nobody_has_begun_goes_to_another_worker(self, spool: Spool, tmp_path: Path) -> None:
        admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path, capacity=2)
        desk.turn()
        lost, other = desk.executor.runs
        lost.future.set_result(Outcome("lost"))
        desk.turn()
        assert self.parts(desk) == ["001", "002", "001"]
        assert not other.future.done()
        assert {run.attempt.parent.parent.name for run in desk.executor.runs} == {"attempt-1"}

    def test_a_hanging_worker_is_found_while_others_make_steps(
        self, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path, capacity=2)
        desk.turn()
        hanging, good = desk.executor.runs
        begun = time.monotonic()
        for number, minutes in enumerate((20, 31), 1):
            with (good.attempt / "loss.jsonl").open("a") as file:
                file.write(LINE.replace("1", str(number), 1))
            monkeypatch.setattr(time, "monotonic", lambda minutes=minutes: begun + 60 * minutes)
            assert hanging.killed == 0
            desk.turn()
        assert (hanging.killed, good.killed) == (1, 0)

    def test_a_worker_that_stood_still_with_its_runner_has_its_patience_again(
        self, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After Ctrl-Z and `fg`, or a machine that was paused."""
        admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path)
        desk.turn()
        (run,) = desk.executor.runs
        begun = time.monotonic()
        for minutes in (600, 610, 620):
            monkeypatch.setattr(time, "monotonic", lambda minutes=minutes: begun + 60 * minutes)
            desk.turn()
        assert run.killed == 0
        monkeypatch.setattr(time, "monotonic", lambda: begun + 60 * 631)
        desk.turn()
        assert run.killed == 1

    def test_what_was_logged_before_is_no_sign_of_a_worker(
        self, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "pipeline.runner.faults")
        monkeypatch.setattr(faults, "PAUSE_SECONDS", 0.0)
        admit(spool, "a", SWEEP)
        desk = Desk(spool, tmp_path)
        desk.turn()
        (desk.executor.runs[0].attempt / "loss.jsonl").write_text(LINE)
        for _ in range(3):
            desk.executor.runs[-1].future.set_result(Outcome("fault", "no weights"))
            desk.turn()
            desk.turn()
        assert caplog.messages == ["no weights. Nothing is lost; trying again every 0 s."]

    def test_whose_record_is_damaged_fails_and_the_next_runs(self, spool: Spool, tmp_path: Path) -> None:
        job_id, good = admit(spool, "a", SWEEP), admit(spool, "b")
        job = Job.load(spool.queued / job_id)
        job.model_copy(update={"images": {"content": job.images["content"]}}).save(spool.queued / job_id)
        desk = Desk(spool, tmp_path)
        desk.turn()
        assert "does not have the images of its sweep" in desk.said[0]
        assert list(desk.dispatch.running) == [good]


LINE = '{"step": 1, "scale": 64, "total": 1.0, "content": 0.0, "style": 1.0, "total_variation": 0.0}\n'


def paint(run: FakeRun) -> None:
    """Have a run come through with a picture."""
    result.leave(run.attempt, DONE, {DONE.output.file: b"a picture"})
    run.future.set_result(Outcome("through"))
