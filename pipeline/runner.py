"""The loop: take in what is ready, run the next job, publish how it ended."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline import intake, report
from pipeline.errors import EnvironmentFault, JobError
from pipeline.faults import Faults
from pipeline.job import Job, has_report
from pipeline.process import Worker
from pipeline.progress import Bar
from pipeline.spool import Spool
from pipeline.watcher import Alarm, Inbox, Ready, Rejected, Waiting
from pipeline.worker import Outcome

log = logging.getLogger(__name__)

MAX_DEATHS = 3
MAX_UNPUBLISHED = 2  # results that may wait for the outbox before no further job is started
RESCAN_SECONDS = 2.0
TICK_SECONDS = 0.2  # between looks at a running job
INTAKE_BUDGET_SECONDS = 1.0  # of taking in, before the queue gets a look
PAGE_SECONDS = 10.0  # between writings of the page while results come thick and fast


@dataclass(frozen=True)
class Ending:
    """When a runner stops by itself, and when it gives up on a worker."""

    forever: bool = False
    until: float | None = None  # wall clock, seconds since the epoch
    max_jobs: int | None = None
    step_timeout_seconds: float = 1800.0


@dataclass
class Tally:
    """What a runner has done so far."""

    done: int = 0
    failed: int = 0


@dataclass
class _Running:
    job: Job
    folder: Path
    future: Future[Outcome]
    bar: Bar
    last_sign: float  # monotonic time of the last step seen


@dataclass(frozen=True)
class _Ended:
    job_id: str
    outcome: Outcome


class Runner:
    """Works through inbox and queue until its ending comes, or for ever.

    Args:
        inbox: where drops come from.
        spool: the jobs folder.
        outbox: where results go.
        worker: what runs the jobs.
        alarm: wakes a waiting runner.
        ending: when it ends.
        announce: told in a line how each job ended.
    """

    def __init__(
        self,
        inbox: Inbox,
        spool: Spool,
        outbox: Path,
        worker: Worker,
        alarm: Alarm,
        ending: Ending,
        announce: Callable[[str], None],
    ) -> None:
        self.tally = Tally()
        self._inbox = inbox
        self._spool = spool
        self._outbox = outbox
        self._worker = worker
        self._alarm = alarm
        self._ending = ending
        self._announce = announce
        self._page = report.Page(outbox)
        self._page_due = True  # a kill may have come between a result and the page
        self._page_written = 0.0
        self._running: _Running | None = None
        self._ended: list[_Ended] = []
        self._started = 0
        self._recovered = False
        self._stopping = False
        self._scan: Iterator[Ready | Rejected | Waiting] | None = None
        self._next_scan = 0.0
        self._look_again = False  # in this scan a drop was ready and had changed when it was copied
        self._nothing_ready = False  # the last whole scan left nothing to take in
        self._told: dict[str, Waiting] = {}
        self._hinted: set[str] = set()
        self._events_problem = ""
        self._faults = Faults()

    def run(self) -> None:
        """Run until the ending, or a signal, says so.

        Raises:
            EnvironmentFault: one pass cannot go on; no job has been blamed for it, and none is lost.
        """
        handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            while not self._is_over():
                self._faults.guard("the jobs folder", self._recover)
                if self._recovered:
                    self._faults.guard("the inbox", self._take_in)
                    self._faults.guard("a job", self._advance)
                    self._faults.guard("the page", self._write_page)
                self._sleep()
            if not self._stopping:
                self._raise_faults()
        finally:
            self._worker.discard()
            self._alarm.stop()
            with suppress(OSError):
                self._write_page(at_once=True)
            for signum, handler in handlers.items():
                signal.signal(signum, handler)

    def _recover(self) -> None:
        """Take up what an earlier life or a fault left: a job is published, failed or queued again, never lost or run
        twice."""
        if self._recovered:
            return
        self._spool.prepare()
        self._inbox.clean()
        at_hand = {ended.job_id for ended in self._ended}
        for job_id in self._spool.interrupted():
            if job_id in at_hand:
                continue
            folder = self._spool.running / job_id
            if report.read_log(self._outbox, job_id) or has_report(folder):
                self._end(_Ended(job_id, Outcome("done")))
            else:
                self._spool.put_back(job_id)
        self._recovered = True

    def _take_in(self) -> None:
        """Stage what is ready, for a moment; the rest of the scan goes on at the next turn."""
        begun = time.monotonic()
        if self._scan is None:
            if begun < self._next_scan and not self._alarm.rung.is_set():
                return
            self._alarm.rung.clear()
            self._tell_events(self._alarm.keep_alive())
            self._scan = self._inbox.scan()
        try:
            for verdict in self._scan:
                if not isinstance(verdict, Waiting):
                    self._worker.warm()
                    self._look_again |= not self._accept(verdict)
                if time.monotonic() - begun > INTAKE_BUDGET_SECONDS:
                    return
        except BaseException:
            self._scan = None
            raise
        self._scan = None
        self._nothing_ready = not self._look_again
        self._look_again = False
        settling = any(waiting.is_settling for waiting in self._inbox.waiting.values())
        self._next_scan = time.monotonic() + (TICK_SECONDS if settling else RESCAN_SECONDS)
        self._tell_waiting()

    def _accept(self, verdict: Ready | Rejected) -> bool:
        """Stage or reject a drop; tells whether it is settled. If not, it stays claimed and is judged anew."""
        drop = intake.claim(self._inbox, self._spool, verdict)
        # A failure that was published before a crash is final.
        published = report.read_log(self._outbox, str(drop.id))
        if isinstance(verdict, Ready) and not published:
            try:
                intake.stage(self._inbox, self._spool, verdict, drop)
            except (intake.ChangedError, FileNotFoundError, JobError):
                return False
            log.info("%s: queued", drop.id)
            return True
        reason = verdict.reason if isinstance(verdict, Rejected) else ""
        job = intake.rejected_job(verdict, drop)
        published = published or report.publish(self._outbox, job, None, reason)
        intake.keep_rejected(self._inbox, self._spool, job, drop)
        self._count(published)
        return True

    def _advance(self) -> None:
        if self._running:
            self._look_at(self._running)
        # The worker goes on while the last result is published; what is put back to the queue comes first again.
        if all(ended.outcome.status == "done" for ended in self._ended) and len(self._ended) < MAX_UNPUBLISHED:
            self._start_next()
        while self._ended:
            self._end(self._ended[0])
            del self._ended[0]
        self._start_next()

    def _start_next(self) -> None:
        if self._running or self._stopping or self._is_at_limit():
            return
        if self._faults.standing and not self._ending.forever:
            return
        job_id = self._spool.next()
        if job_id is None:
            return
        self._worker.warm()
        try:
            folder = self._spool.start(job_id)
            job = Job.load(folder)
        except OSError:
            self._recovered = False  # it may lie in running/ already
            raise
        log.info("%s: started", job_id)
        bar = Bar(job.name, job.steps, folder)
        following = self._spool.next()
        future = self._worker.submit(folder, self._spool.queued / following if following else None)
        future.add_done_callback(lambda _: self._alarm.rung.set())
        self._running = _Running(job, folder, future, bar, time.monotonic())
        self._started += 1

    def _look_at(self, running: _Running) -> None:
        if running.bar.update():
            running.last_sign = time.monotonic()
        if not running.future.done():
            if time.monotonic() - running.last_sign > self._ending.step_timeout_seconds:
                log.warning(
                    "%s: no step for %g s; ending its worker", running.job.id, self._ending.step_timeout_seconds
                )
                running.last_sign = time.monotonic()
                self._worker.send(signal.SIGKILL)
            return
        running.bar.close()
        try:
            outcome = running.future.result()
        except Exception as error:  # the process is gone, or could not take the job or give its answer
            log.debug("%s: %r", running.job.id, error)
            self._worker.discard()
            outcome = Outcome("stopped" if self._stopping else "died")
        self._running = None
        self._ended.append(_Ended(running.job.id, outcome))

    def _end(self, ended: _Ended) -> None:
        """Carry an outcome through to the outbox and the spool. Safe to be called again if it breaks off."""
        job_id, outcome = ended.job_id, ended.outcome
        folder = self._spool.running / job_id
        if not folder.exists():
            return
        job = Job.load(folder)
        if outcome.status == "died" and job.deaths + 1 >= MAX_DEATHS:
            reason = f"its worker process died or hung {MAX_DEATHS} times; perhaps memory does not reach for this size."
            outcome = Outcome("failed", reason)
        if outcome.status in ("stopped", "died", "fault"):
            self._spool.put_back(job_id, died=outcome.status == "died")
            if outcome.status == "died":
                log.warning("%s: its worker process died (%d of %d)", job_id, job.deaths + 1, MAX_DEATHS)
            if outcome.status == "fault":
                raise EnvironmentFault(outcome.reason)
            return
        published = report.read_log(self._outbox, job_id)
        if published is None:
            published = report.publish(self._outbox, job, folder, outcome.reason or None)
        if published["status"] == "done":
            self._spool.finish(job_id, published)
        else:
            self._spool.fail(job_id)
        self._count(published)

    def _count(self, published: dict[str, Any]) -> None:
        job, output = published["job"], published["output"]
        self._page_due = True
        if output:
            self.tally.done += 1
            self._announce(f"done    {self._outbox / job['id'] / output['file']}")
        else:
            self.tally.failed += 1
            self._announce(f"failed  {self._outbox / job['id'] / job['name']}.json: {published['error']}")

    def _write_page(self, at_once: bool = False) -> None:
        idle = self._running is None
        if self._page_due and (at_once or idle or time.monotonic() - self._page_written > PAGE_SECONDS):
            self._page.write()
            self._page_due = False
            self._page_written = time.monotonic()

    def _is_over(self) -> bool:
        if self._ending.until is not None and time.time() >= self._ending.until and not self._stopping:
            log.info("the time is up")
            self._stop()
        if self._running or (self._ended and not self._faults.standing):
            return False
        if self._stopping or (self._faults.standing and not self._ending.forever):
            return True
        if self._ending.forever:
            return False
        if self._is_at_limit():
            return True
        at_rest = all(waiting.is_fault for waiting in self._inbox.waiting.values())
        return self._nothing_ready and self._scan is None and at_rest and not self._spool.next()

    def _is_at_limit(self) -> bool:
        return self._ending.max_jobs is not None and self._started >= self._ending.max_jobs

    def _sleep(self) -> None:
        if self._faults.standing:
            time.sleep(TICK_SECONDS)  # an alarm may go on ringing that nobody can answer now
        elif self._scan is None:
            self._alarm.rung.wait(TICK_SECONDS)

    def _raise_faults(self) -> None:
        faults = list(self._faults.standing.values())
        faults += [f"{name} {waiting.reason}" for name, waiting in self._inbox.waiting.items() if waiting.is_fault]
        if faults:
            raise EnvironmentFault("; ".join(faults), "Nothing is lost: run again when it is mended.")

    def _tell_events(self, problem: str) -> None:
        if problem and problem != self._events_problem:
            log.warning("%s", problem)
        self._events_problem = problem

    def _tell_waiting(self) -> None:
        for name, waiting in self._inbox.waiting.items():
            if not waiting.is_settling and self._told.get(name) != waiting:
                log.info("%s waits: %s", name, waiting.reason)
        self._told = dict(self._inbox.waiting)
        for hint in self._inbox.hints - self._hinted:
            log.warning("%s", hint)
        self._hinted = set(self._inbox.hints)

    def _stop(self) -> None:
        self._stopping = True
        self._worker.send(signal.SIGTERM)

    def _on_signal(self, signum: int, _: FrameType | None) -> None:
        if self._stopping:
            self._worker.send(signal.SIGKILL)
            os._exit(128 + signum)
        self._stop()
