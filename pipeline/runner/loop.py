"""The loop: take in what is ready, keep what runs going, publish what has ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pipeline.errors import EnvironmentFault, joined
from pipeline.forecast.paces import Estimate, Paces
from pipeline.inbox.alarm import Alarm
from pipeline.inbox.claims import Claims
from pipeline.inbox.scan import Scanner
from pipeline.jobs import pause
from pipeline.jobs.lock import Lease
from pipeline.jobs.log import Log
from pipeline.jobs.pause import Pause
from pipeline.jobs.spool import Spool
from pipeline.outbox.page import Page
from pipeline.runner.dispatch import Dispatch
from pipeline.runner.executor import Executor
from pipeline.runner.faults import Faults
from pipeline.runner.inbox_log import InboxLog
from pipeline.runner.intake import Intake
from pipeline.runner.progress import Progress
from pipeline.runner.publisher import Publisher, Tally
from pipeline.runner.recovery import Recovery
from pipeline.runner.reporter import Reporter
from pipeline.runner.systemd import Heartbeat
from pipeline.worker.child import STOP_SIGNALS

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2  # between looks at what runs
SAME_WORD_SECONDS = 0.5
PAGE = "the page"


@dataclass(frozen=True)
class Ending:
    """When a runner stops by itself."""

    forever: bool = False
    until: float | None = None  # wall clock, seconds since the epoch
    max_jobs: int | None = None  # started


class Runner:
    """Works through inbox and queue until its ending comes, or for ever.

    Args:
        scanner: of the inbox.
        claims: what is taken from it.
        spool: the jobs folder.
        lease: on the jobs folder, whose lock is held.
        outbox: where results go.
        executor: what runs the jobs.
        alarm: tells of changes in the inbox.
        ending: when it ends.
        step_timeout_seconds: how long a job may be without a step before its worker is ended.
        announce: told in a line how each job ended.
        on_failure: told of each that failed.
        paces: what is known of this machine.
        with_pictures: whether pictures are put into the outbox's folder of them, too.
    """

    def __init__(
        self,
        scanner: Scanner,
        claims: Claims,
        spool: Spool,
        lease: Lease,
        outbox: Path,
        executor: Executor,
        alarm: Alarm,
        ending: Ending,
        step_timeout_seconds: float,
        announce: Callable[[str], None],
        on_failure: Callable[[Log], None] = lambda published: None,
        paces: Paces | None = None,
        with_pictures: bool = True,
    ) -> None:
        paces = paces or Paces(None)
        self.pause: Pause | None = None  # in which nothing is started
        self._ending = ending
        self._jobs = spool.folder
        self._executor = executor
        self._lease = lease
        self._wake = threading.Event()
        self._stopping = False
        self._told: float | None = None  # monotonic time of the first signal
        self._faults = Faults()
        self._publisher = Publisher(spool, outbox, announce, on_failure, with_pictures)
        self._dispatch = Dispatch(
            spool, executor, self._publisher, self._faults, ending.max_jobs, step_timeout_seconds, self._wake.set
        )
        self._progress = Progress(spool, paces)
        self._intake = Intake(scanner, claims, spool, self._publisher, alarm, self._warm)
        self._recovery = Recovery(spool, outbox, claims, self._publisher, self._dispatch)
        self._inbox_log = InboxLog()
        self._reporter = Reporter(spool.folder, scanner.drops.inbox, self._publisher.tally)
        self._page = Page(outbox, spool, paces)
        self._heartbeat = Heartbeat()

    @property
    def tally(self) -> Tally:
        """What has been done so far."""
        return self._publisher.tally

    def left(self) -> tuple[int, Estimate | None]:
        """How many jobs are queued, and about how long they take."""
        return self._progress.left(self._dispatch.workers)

    def run(self) -> None:
        """Run until the ending, or a signal, says so.

        Raises:
            EnvironmentFault: one pass cannot go on; no job has been blamed for it, and none is lost.
        """
        with self._hearing_signals():
            try:
                while not self._is_over():
                    self._heartbeat.beat()
                    self._turn()
                    self._rest()
            finally:
                self._heartbeat.end()
                self._dispatch.kill()
                self._intake.close()
                self._progress.close()
                with contextlib.suppress(OSError, EnvironmentFault):
                    self._report(at_end=True)
                    self._page.keep_current(is_working=False, at_once=True)
        if not self._stopping:
            self._raise_faults()

    def _turn(self) -> None:
        self._look_at_the_clock()
        self._faults.guard("the jobs folder", self._lease.renew)
        self._faults.guard("the jobs folder", self._look_for_pause)
        self._faults.guard("the jobs folder", self._recovery.turn)
        if self._recovery.is_done:
            self._faults.guard("the inbox", self._take_in)
            self._faults.guard("a job", self._advance)
            self._faults.guard("the outbox", self._publisher.turn)
            self._faults.guard("the jobs folder", self._tell_progress)
            self._faults.guard(PAGE, self._show)

    def _take_in(self) -> bool:
        if self._stopping:
            return True
        is_through = self._intake.turn()
        if is_through:
            scanner = self._intake.scanner
            self._inbox_log.tell(scanner.waiting, scanner.drops.hints | scanner.repeats, self._intake.events_problem)
        return is_through

    def _advance(self) -> None:
        may_start = self._ending.forever or not self._is_held_up
        stops = self._stopping or bool(self.pause and self.pause.stops_jobs)
        self._dispatch.turn(may_start and not self.pause and not self._stopping, stops)

    def _look_for_pause(self) -> None:
        before, self.pause = self.pause, pause.read(self._jobs)
        if self.pause and self.pause != before:
            log.info("%s: nothing is started until `stylistic resume`", self.pause.told)
        elif before and not self.pause:
            log.info("the pause is over")

    def _warm(self) -> None:
        if not self.pause:
            self._executor.warm()

    def _show(self) -> None:
        self._report()
        self._page.keep_current(is_working=bool(self._dispatch.running))

    def _report(self, at_end: bool = False) -> None:
        scanner = self._intake.scanner
        if at_end or not self._intake.is_busy:
            faults = [*self._faults.standing.values(), *self._publisher.blocked.values()]
            self._reporter.keep_current(scanner.waiting, scanner.drops.hints, scanner.repeats, faults, at_end)

    def _tell_progress(self) -> None:
        waiting = self._intake.scanner.waiting.values()
        is_settled = not self._intake.is_busy and not any(found.is_settling for found in waiting)
        self._progress.turn(self.tally, self._dispatch.workers, is_settled)

    def _look_at_the_clock(self) -> None:
        if self._ending.until is not None and time.time() >= self._ending.until and not self._stopping:
            log.info("the time is up")
            self._stopping = True

    @property
    def _is_held_up(self) -> bool:
        """Whether a fault keeps jobs from their end; that the page cannot be written does not."""
        return bool(self._faults.standing.keys() - {PAGE})

    def _is_over(self) -> bool:
        faulty = self._is_held_up
        publishing = self._publisher.waiting.keys() - self._publisher.blocked.keys()
        if self._dispatch.running or (publishing and not faulty):
            return False
        if self._stopping or (faulty and not self._ending.forever):
            return True
        if self._ending.forever or not self._recovery.is_done:
            return False
        if self._dispatch.is_at_limit:
            return True
        at_rest = all(waiting.is_fault for waiting in self._intake.scanner.waiting.values())
        return (
            self._intake.left_nothing
            and not self._intake.is_busy
            and at_rest
            and (bool(self.pause) or self._dispatch.is_idle)
        )

    def _rest(self) -> None:
        """Wait for the next turn, or for a run to end; what was not through within its turn goes on at once."""
        if not (self._intake.is_busy or self._publisher.backlog) or self._faults.standing:
            self._wake.wait(TICK_SECONDS)
        self._wake.clear()

    def _raise_faults(self) -> None:
        faults = [*self._faults.standing.values(), *self._publisher.blocked.values()]
        waiting = self._intake.scanner.waiting
        faults += [f"{name} {found.reason}" for name, found in waiting.items() if found.is_fault]
        if faults:
            raise EnvironmentFault(joined(*faults), "Nothing is lost: run again when it is mended.")

    @contextlib.contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        is_nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        heard = STOP_SIGNALS - ({signal.SIGHUP} if is_nohup else set())
        before = {number: signal.signal(number, self._on_signal) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        """The first time the next turn stops what runs; the second time all ends here.

        What comes within a moment of the first is the same word: `timeout` says it twice, systemd adds a SIGHUP.
        """
        now = time.monotonic()
        if self._told is None:
            self._told = now
        elif now - self._told >= SAME_WORD_SECONDS:
            self._dispatch.kill()
            os._exit(128 + number)
        self._stopping = True
