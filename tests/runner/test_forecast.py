"""What is said of the work that lies ahead."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from pipeline.jobs.pace import Paces
from pipeline.jobs.record import Job
from pipeline.jobs.spool import Spool
from pipeline.runner.bar import Bar
from pipeline.runner.forecast import Forecast
from pipeline.runner.publisher import Tally
from tests.inbox.conftest import Clock
from tests.jobs.test_pace import book
from tests.runner.conftest import admit

# 300 steps by default: 171 at 128, 86 at 256, 43 at 512 px, of a square photo.
KNOWN = book((128 * 128, 0.1), (256 * 256, 0.4), (512 * 512, 1.6))


def test_the_work_is_told_once_and_its_time_when_it_is_known(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock(monkeypatch)
    paces = Paces(tmp_path / "pace.json")
    forecast = Forecast(spool, paces)
    for name in "abc":
        admit(spool, name)
    running = [(job, Bar(job, paces)) for job in [spool.start("a-20260101-000000-0000")]]
    for is_settled in (False, True, True):
        clock.pass_(1)
        forecast.turn(running, Tally(), 1, is_settled)
    assert caplog.messages == ["3 pictures; how long that takes is not measured yet on this machine"]
    paces.learn(lambda _: KNOWN)
    for _ in range(2):
        clock.pass_(1)
        forecast.turn(running, Tally(), 1, is_settled=True)
    seconds = paces.seconds([Job.load(spool.running / running[0][0].id)])
    assert seconds is not None
    assert caplog.messages[1:] == [f"3 pictures, about {round((8 + 3 * seconds) / 60)} min on this CPU"]


def test_of_a_long_queue_a_part_is_read_and_of_what_is_begun_the_rest_counts(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.runner.forecast.RECORDS", 3)
    paces = Paces(tmp_path / "pace.json")
    paces.learn(lambda _: KNOWN)
    for name in "abcdef":
        job_id = admit(spool, name)
    a_job = paces.seconds([Job.load(spool.queued / job_id)])
    assert a_job is not None
    count, found = Forecast(spool, paces).left()
    assert found is not None
    assert count == 6
    assert found.seconds == pytest.approx(2 * (8 + 3 * a_job))
    shutil.rmtree(spool.queued)
    assert Forecast(spool, paces).left() == (0, None)
