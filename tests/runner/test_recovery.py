"""What an earlier life has left half done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.inbox.claims import Claims
from pipeline.jobs import cancel, log
from pipeline.jobs.spool import Spool
from pipeline.runner.dispatch import Dispatch
from pipeline.runner.faults import Faults
from pipeline.runner.publisher import Publisher
from pipeline.runner.recovery import Recovery
from tests.runner.conftest import FakeExecutor, admit


def test_a_job_cancelled_just_before_its_runner_died_is_filed_and_not_run(spool: Spool, tmp_path: Path) -> None:
    running, renamed, marked = (admit(spool, name) for name in "abc")
    spool.start(running)
    cancel.mark(spool.running / running, "ann")
    cancel.mark(spool.queued / renamed, "ann")
    spool.cancel(spool.queued / renamed)
    cancel.mark(spool.queued / marked, "ann")  # and the command died before its rename
    said: list[str] = []
    outbox = tmp_path / "outbox"
    publisher = Publisher(spool, outbox, said.append)
    executor: Any = FakeExecutor()
    dispatch = Dispatch(spool, executor, publisher, Faults(), None, 1800, lambda: None)
    Recovery(spool, outbox, Claims(tmp_path / "inbox", tmp_path / "jobs", spool.retries), publisher, dispatch).turn()
    for _ in range(4):
        publisher.turn()
        dispatch.turn(may_start=True, stopping=False)
    for job_id in (running, renamed, marked):
        published = log.read(outbox, job_id)
        assert published is not None and published.is_cancelled
        assert (spool.failed / job_id).is_dir()
        assert not cancel.is_marked(spool.failed / job_id)
    assert dispatch.is_idle
