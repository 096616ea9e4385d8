"""The loop as a whole, with an executor that does what the test says."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from pipeline.inbox.alarm import Alarm
from pipeline.inbox.claims import Claims
from pipeline.inbox.drops import Drops
from pipeline.inbox.readiness import Judge
from pipeline.inbox.scan import Scanner
from pipeline.jobs.lock import Lease
from pipeline.jobs.spool import Spool
from pipeline.manifest.model import Limits
from pipeline.runner.loop import Ending, Runner
from tests.runner.conftest import FakeExecutor, FakeRun, admit


def runner(spool: Spool, tmp_path: Path, executor: FakeExecutor, ending: Ending) -> Runner:
    inbox = tmp_path / "inbox"
    claims = Claims(inbox, tmp_path / "jobs", spool.retries)
    scanner = Scanner(Drops(inbox, claims.folder, spool.retries, []), Judge(0, 600, Limits(), trust_times=True))
    lease = Lease(tmp_path / "jobs")
    outbox = tmp_path / "outbox"
    return Runner(scanner, claims, spool, lease, outbox, executor, Alarm(None), ending, 1800, lambda line: None)


def test_a_stop_that_comes_while_a_job_is_being_started_stops_it(spool: Spool, tmp_path: Path) -> None:
    job_id = admit(spool, "a")
    executor = FakeExecutor()

    def be_told(run: FakeRun) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    executor.on_submit = be_told
    # Not for ever: a runner that misses the word goes on until this ends its run.
    rescue = threading.Timer(20, lambda: executor.runs[0].fail("never told to stop"))
    rescue.start()
    runner(spool, tmp_path, executor, Ending(forever=True)).run()
    rescue.cancel()
    assert (spool.queued / job_id).is_dir()
    assert list((tmp_path / "outbox").glob("a-*")) == []


def test_one_pass_ends_when_all_is_done(spool: Spool, tmp_path: Path) -> None:
    for name in "abc":
        admit(spool, name)
    executor = FakeExecutor()
    executor.on_submit = lambda run: run.fail("as the test wants it")
    one_pass = runner(spool, tmp_path, executor, Ending())
    one_pass.run()
    assert (one_pass.tally.done, one_pass.tally.failed) == (0, 3)
