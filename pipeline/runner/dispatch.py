"""Which jobs run: the next one when there is room, and what becomes of those that end."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
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
    attempt: Path  # where it writes
    tail: losses.Tail
    bar: Bar
    last_sign: float  # monotonic time of the last step seen
    patience_seconds: float  # without one
    variants: list[int]  # of a sweep that is spread, those without a worker so far
    runs: dict[int | None, Run] = field(default_factory=dict)  # under way; by variant where it is spread
    told: set[int | None] = field(default_factory=set)  # those of them that were told to stop
    outcome: Outcome | None = None
    next_look: float = 0.0

    def stop(self) -> None:
        self.variants.clear()
        for variant, run in self.runs.items():
            if not run.future.done():
                self.told.add(variant)
                run.stop()


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
            if (stopping or is_cancelled) and not running.told:
                running.stop()
                if is_cancelled:
                    running.last_sign, running.patience_seconds = time.monotonic(), CANCEL_SECONDS
            if not may_start:
                running.variants.clear()
            self._look_at(running)
        while may_start and self._has_room() and self._start_next():
            pass

    def kill(self) -> None:
        """End everything at once."""
        self._executor.close()

    def _has_room(self) -> bool:
        if self._faults.is_paused(WORKER):
            return False
        capacity = self._executor.capacity
        # One that has ended, and cannot be put away yet, still counts.
        taken = sum(len(running.runs) or not running.variants for running in self.running.values())
        # Where the outbox takes nothing, no more is painted for it than there are workers.
        return taken < capacity and self._publisher.backlog <= capacity

    def _start_next(self) -> bool:
        """Start the next job, or the next variant of one that runs; False if there is neither."""
        job_id = None if self.is_at_limit else self._spool.next()
        spread = next((running for running in self.running.values() if running.variants), None)
        if spread and not (job_id and self._spool.is_before(job_id, spread.job)):
            self._submit(spread, spread.variants.pop(0), None)
        elif job_id:
            self._start(job_id)
        return bool(spread or job_id)

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
        self.has_lost_track = True  # until it runs
        variants = [] if is_alone else _spread(folder, job)
        line = next(n for n in itertools.count(1) if n not in {one.bar.position for one in self.running.values()})
        own, bar = attempt.place(folder, job.attempts), Bar(job, self._paces, line)
        running = _Running(job, own, losses.Tail(own), bar, time.monotonic(), self._step_timeout, variants)
        # Of several workers nobody knows which will have the next.
        upcoming = self._spool.next() if is_alone else None
        next_folder = self._spool.queued / upcoming if upcoming else None
        self._submit(running, variants.pop(0) if variants else None, next_folder)
        self.running[job_id] = running
        self.has_lost_track = False
        bar.show(attempt.earlier_losses(folder, job.attempts))  # of a job that goes on
        if self._left_to_start is not None:
            self._left_to_start -= 1
        log.info("%s: started", job_id)

    def _submit(self, running: _Running, variant: int | None, upcoming: Path | None) -> None:
        run = self._executor.submit(running.job, self._spool.running / running.job.id, variant, upcoming)
        run.future.add_done_callback(lambda _: self._wake())
        running.runs[variant] = run
        running.last_sign = time.monotonic()

    def _look_at(self, running: _Running) -> None:
        now = time.monotonic()
        ended = [variant for variant, run in running.runs.items() if run.future.done()]
        if now < running.next_look and not ended:
            return
        running.next_look = now + len(self.running) / LOOKS_PER_SECOND
        if new := running.tail.read():
            running.last_sign = now
            running.bar.show(new, max(1, len(running.runs)))
            self._faults.mended(WORKER)
        for variant in ended:
            self._end(running, variant)
        if not running.runs and not running.variants:
            self._settle(running)
        elif running.runs and now - running.last_sign > running.patience_seconds:
            log.warning("%s: no step for %g s; ending its worker", running.job.id, running.patience_seconds)
            running.last_sign = now
            for run in running.runs.values():
                run.kill()

    def _end(self, running: _Running, variant: int | None) -> None:
        """Take note of how a run has ended; where that of a variant did not come through, the attempt does not."""
        run = running.runs.pop(variant)
        outcome = run.future.result()
        if outcome.kind in ("stopped", "died"):
            run.kill()  # whoever was told to stop takes no other job
            # A word that was not ours: somebody ended the process, such as a system that is out of memory.
            outcome = Outcome("stopped" if variant in running.told else "died")
        if variant is None:
            running.outcome = outcome
        elif outcome.kind != "through" and running.outcome is None:
            running.outcome = outcome
            running.stop()

    def _settle(self, running: _Running) -> None:
        """Carry out what a job's outcome asks for. Is called again if the environment prevents it."""
        job, outcome = running.job, running.outcome or Outcome("stopped")
        if result.read(running.attempt):  # it came through, whatever happened to its worker after that
            outcome = Outcome("through")
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


def _spread(folder: Path, job: Job) -> list[int]:
    """The variants of a sweep that several workers are to paint; none of any other job."""
    if not (job.manifest and job.manifest.sweep):
        return []
    try:
        return attempt.spread(folder, job)
    except (KeyError, ValueError):  # whose worker will say what is wrong with it
        return []
