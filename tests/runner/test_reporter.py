"""What a runner leaves for others to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.inbox.readiness import Waiting
from pipeline.jobs import report
from pipeline.jobs.report import Report
from pipeline.runner import reporter
from pipeline.runner.publisher import Tally
from pipeline.runner.reporter import Reporter


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reporter, "LEAST_SECONDS", 0.0)
    return tmp_path


def told(jobs: Path) -> Report:
    found = report.read(jobs)
    assert found is not None
    return found


def test_what_settles_is_not_told_and_what_waits_is(jobs: Path) -> None:
    keeper = Reporter(jobs, jobs / "inbox", Tally())
    waiting = {"b": Waiting("settling", is_settling=True), "c": Waiting("p.jpg is missing"), "a": Waiting("?", True)}
    keeper.keep_current(waiting, {"x is not looked at"}, {"y: already painted"}, ["a full disk"])
    found = told(jobs)
    assert [(one.name, one.is_fault) for one in found.waiting] == [("a", True), ("c", False)]
    assert (found.unknown, found.repeated) == (["x is not looked at"], ["y: already painted"])
    assert (found.faults, found.ended_at) == (["a full disk"], None)


def test_a_crowd_is_told_by_its_number(jobs: Path) -> None:
    keeper = Reporter(jobs, jobs / "inbox", Tally())
    keeper.keep_current({f"{n:05}": Waiting("p.jpg is missing") for n in range(10_000)}, set(), set(), [])
    assert (len(told(jobs).waiting), told(jobs).more_waiting) == (reporter.LISTED, 10_000 - reporter.LISTED)


def test_nothing_new_is_not_written_and_the_end_is(jobs: Path) -> None:
    tally = Tally()
    keeper = Reporter(jobs, jobs / "inbox", tally)
    keeper.keep_current({}, set(), set(), [])
    (jobs / report.FILE).unlink()
    keeper.keep_current({}, set(), set(), [])
    assert report.read(jobs) is None
    tally.done = 3
    keeper.keep_current({}, set(), set(), [], at_end=True)
    assert (told(jobs).done, told(jobs).ended_at is not None) == (3, True)


@pytest.mark.parametrize("damaged", [b"", b"{", b'{"pid": "x"}', b"\xff"])
def test_a_damaged_report_is_none(jobs: Path, damaged: bytes) -> None:
    (jobs / report.FILE).write_bytes(damaged)
    assert report.read(jobs) is None
