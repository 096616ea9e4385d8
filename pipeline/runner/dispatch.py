"""Which jobs run: the next one when there is room, and what becomes of those that end."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import EnvironmentFault
from pipeline.jobs import attempt, cancel, losses, result
from pipeline.jobs.pace import Paces
from pipeline.jobs.record import Job, RecordError
from pipeline.jobs.result import Failed, Outcome
from pipeline.jobs.spool import Spool
from pipeline.runner.bar import Bar
from pipeline.runner.executor import Executor, Run
from pipeline.runner.faults import Faults
from pipeline.runner.publisher import Publisher

log = logging.getLogger(__name__)

MAX_DEATHS = 3
CANCEL_SECONDS = 30.0  # for a cancelled job to end by itself
LOOKS_PER_SECOND = 100.0  # at the logs of what runs, however many they are
WORKER = "the worker"  # as a place of faults


@dataclass
class _Running:
    job: Job
    run: Run
    attempt: Path  # where it writes
    tail: losses.Tail
    bar: Bar
    last_sign: float  # monotonic time of the last step seen
    patience_seconds: float  # without one
    next_look: float = 0.0
    is_told_to_stop: bool = False


class Dispatch:
    """The jobs that run, by id, and the queue behind them.

    Args:
        spool: the jobs folder.
        executor: what runs them.
        publisher: told of those that are through.
        faults: where a worker's are noted; while one stands nothing is started.
        max_jobs: how many may be started; None for any number.
        step_timeout_seconds: how long one may be without a step before what runs it is ended.
        wake: called from another thread when a run has ended.
        paces: what steps take on this machine.
    """

    def __init__(
        self,
        spool: Spool,
        executor: Executor,
        publisher: Publisher,
        faults: Faults,
        max_jobs: int | None,
        step_timeout_seconds: float,
        wake: Callable[[], None],
        paces: Paces,
    ) -> None:
        self.running: dict[str, _Running] = {}
        self.has_lost_track = False  # a job may lie in running/ that nobody runs
        self._spool = spool
        self._executor = executor
        self._publisher = publisher
        self._faults = faults
        self._left_to_start = max_jobs
        self._step_timeout = step_timeout_seconds
        self._wake = wake
        self._paces = paces

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing is queued."""
        return not self.running and self._spool.next() is None

    @property
    def workers(self) -> int:
        """How many jobs run at once, as far as is known; at least one."""
        try:
            return max(1, self._executor.capacity)
        except EnvironmentFault:
            return 1

    @property
    def is_at_limit(self) -> bool:
        """Whether no more jobs may be started."""
        return self._left_to_start == 0

    def turn(self, may_start: bool, stopping: bool) -> None:
        """Look at what runs, or have it stop; start what there is room for."""
        for running in list(self.running.values()):
            is_cancelled = cancel.is_marked(self._spool.running / running.job.id)
            if (stopping or is_cancelled) and not running.is_told_to_stop and not running.run.future.done():
                running.is_told_to_stop = True
                running.run.stop()
                if is_cancelled:
                    running.last_sign, running.patience_seconds = time.monotonic(), CANCEL_SECONDS
            self._look_at(running)
        while may_start and self._has_room() and (job_id := self._spool.next()):
            self._start(job_id)

    def kill(self) -> None:
        """End everything at once."""
        self._executor.close()

    def _has_room(self) -> bool:
        if self.is_at_limit or self._faults.is_paused(WORKER):
            return False
        capacity = self._executor.capacity
        # Where the outbox takes nothing, no more is painted for it than there are workers.
        return len(self.running) < capacity and self._publisher.backlog <= capacity

    def _start(self, job_id: str) -> None:
        self._executor.warm()
        is_alone = self._executor.capacity == 1
        try:
            job = self._spool.start(job_id)
        except RecordError as error:
            self._publisher.add_damaged(job_id, error)
            return
        except FileNotFoundError:
            if (self._spool.queued / job_id).exists():
                raise
            return  # taken away meanwhile
        except PermissionError as error:
            self._spool.leave_alone(self._spool.queued / job_id, error)
            return
        except OSError:
            self.has_lost_track = True
            raise
        folder = self._spool.running / job_id
        # Of several workers nobody knows which will have the next.
        upcoming = self._spool.next() if is_alone else None
        self.has_lost_track = True  # until it runs
        run = self._executor.submit(job, folder, self._spool.queued / upcoming if upcoming else None)
        self.has_lost_track = False
        run.future.add_done_callback(lambda _: self._wake())
        line = next(n for n in itertools.count(1) if n not in {one.bar.position for one in self.running.values()})
        own, bar = attempt.place(folder, job.attempts), Bar(job, self._paces, line)
        bar.show(attempt.earlier_losses(folder, job.attempts))  # of a job that goes on
        tail, now = losses.Tail(own), time.monotonic()
        self.running[job_id] = _Running(job, run, own, tail, bar, now, self._step_timeout)
        if self._left_to_start is not None:
            self._left_to_start -= 1
        log.info("%s: started", job_id)

    def _look_at(self, running: _Running) -> None:
        now = time.monotonic()
        if now < running.next_look and not running.run.future.done():
            return
        running.next_look = now + len(self.running) / LOOKS_PER_SECOND
        if new := running.tail.read():
            running.last_sign = now
            running.bar.show(new)
            self._faults.mended(WORKER)
        if running.run.future.done():
            self._settle(running)
        elif now - running.last_sign > running.patience_seconds:
            log.warning("%s: no step for %g s; ending its worker", running.job.id, running.patience_seconds)
            running.last_sign = now
            running.run.kill()

    def _settle(self, running: _Running) -> None:
        """Carry out what a run's outcome asks for. Is called again if the environment prevents it."""
        job, outcome = running.job, self._outcome(running)
        running.bar.close()
        if outcome.kind == "through" or cancel.is_marked(self._spool.running / job.id):
            self._publisher.add(job, None)
        elif outcome.kind == "died" and job.deaths + 1 >= MAX_DEATHS:
            reason = f"its worker process died or hung {MAX_DEATHS} times; perhaps memory does not reach for this size."
            self._publisher.add(job, Failed(reason=reason))
        else:
            try:
                self._spool.put_back(job, died=outcome.kind == "died")
            except FileNotFoundError:
                if (self._spool.running / job.id).exists():
                    raise
        del self.running[job.id]
        if outcome.kind == "died":
            log.warning("%s: its worker process died (%d of %d)", job.id, job.deaths + 1, MAX_DEATHS)
        elif outcome.kind == "fault":
            self._faults.note(WORKER, outcome.reason)
        else:
            self._faults.mended(WORKER)

    def _outcome(self, running: _Running) -> Outcome:
        outcome = running.run.future.result()
        if outcome.kind in ("stopped", "died"):
            running.run.kill()  # whoever was told to stop takes no other job
            # A word that was not ours: somebody ended the process, such as a system that is out of memory.
            outcome = Outcome("stopped" if running.is_told_to_stop else "died")
        if result.read(running.attempt):  # it came through before whatever happened to its worker
            outcome = Outcome("through")
        return outcome
