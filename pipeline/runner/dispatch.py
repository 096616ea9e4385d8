"""Which jobs run: the next one when there is room, and what becomes of those that end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import storage
from pipeline.errors import EnvironmentFault
from pipeline.jobs import attempt, cancel, losses, result, variants
from pipeline.jobs.record import Job, RecordError
from pipeline.jobs.result import Done, Failed, Outcome
from pipeline.jobs.spool import Spool, UntouchableError
from pipeline.jobs.variants import SCOUT, SHEET
from pipeline.runner.executor import Executor, Run
from pipeline.runner.faults import Faults
from pipeline.runner.publisher import Publisher

log = logging.getLogger(__name__)

MAX_DEATHS = 3
TOGETHER_SECONDS = 3.0  # in which a signal for all comes to the runner, too
MAX_UNBEGUN = 3  # workers that die one after another before they have begun anything
STOP_SECONDS = 60.0  # without a step, for a job that a stop has been asked of: its last checkpoint is no older
CANCEL_SECONDS = 30.0  # for a cancelled job to end by itself
LOOKS_PER_SECOND = 100.0  # at the logs of what runs, however many they are
WORKER = "the worker"  # as a place of faults


@dataclass
class _Part:
    """What one worker has of a job."""

    run: Run
    place: Path  # where it writes
    last_sign: float  # monotonic time of the last step seen
    is_told_to_stop: bool = False
    ended: float | None = None  # monotonic time at which its end was seen

    def is_over(self, now: float) -> bool:
        """Whether its end can be judged. One that a signal has stopped may be the first of all that it is for."""
        if not self.run.future.done():
            return False
        if self.run.future.result().kind != "stopped" or self.is_told_to_stop:
            return True
        self.ended = self.ended or now
        return now - self.ended >= TOGETHER_SECONDS


@dataclass
class _Running:
    job: Job
    attempt: Path  # its folder
    tail: losses.Tail
    patience_seconds: float  # without a step
    waiting: list[int] = field(default_factory=list)  # parts that no worker has: variants, a clip's, the sheet
    parts: dict[int | None, _Part] = field(default_factory=dict)  # under way; that of any other job is None
    outcome: Outcome | None = None  # once the attempt has come to one
    has_progressed: bool = False  # of a sweep: a variant has its picture
    is_cancelled: bool = False
    next_look: float = 0.0
    looked: float = field(default_factory=time.monotonic)

    def wake(self, now: float) -> None:
        """Where we stood still ourselves, as by Ctrl-Z, so may all workers have, and nobody was there to see a step."""
        held, self.looked = now - self.looked, now
        if held > self.patience_seconds:
            for part in self.parts.values():
                part.last_sign += held

    def hold(self) -> None:
        """Begin no other part."""
        if self.waiting:
            self.waiting.clear()
            self.outcome = self.outcome or Outcome("stopped")

    def stop(self) -> None:
        """Have every part leave a checkpoint and end."""
        self.waiting.clear()
        self.outcome = self.outcome or Outcome("stopped")
        for part in self.parts.values():
            if not part.run.future.done():
                if not part.is_told_to_stop:
                    part.is_told_to_stop, part.last_sign = True, time.monotonic()
                    part.run.stop()
            elif part.run.future.result().kind == "stopped":  # by what stops us
                part.is_told_to_stop = True


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
    ) -> None:
        self.running: dict[str, _Running] = {}
        self.has_lost_track = False  # a job may lie in running/ that nobody runs
        self._spool = spool
        self._executor = executor
        self._publisher = publisher
        self._faults = faults
        self._left_to_start = max_jobs
        self._unbegun = 0  # workers that have died since one has begun
        self._step_timeout = step_timeout_seconds
        self._wake = wake

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
            if stopping:
                running.patience_seconds = min(running.patience_seconds, STOP_SECONDS)
                running.stop()
            elif not may_start:
                running.hold()
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
        taken = sum(len(running.parts) or not running.waiting for running in self.running.values())
        # Where the outbox takes nothing, no more is painted for it than there are workers.
        return taken < capacity and self._publisher.backlog <= capacity

    def _start_next(self) -> bool:
        """Start the next job, or the next part of one that runs; False if there is neither."""
        job_id = None if self.is_at_limit else self._spool.next()
        begun = [running for running in self.running.values() if running.waiting]
        first = min(begun, key=lambda running: running.job.turn, default=None)
        if first and not (job_id and self._spool.is_before(job_id, first.job)):
            self._submit(first, first.waiting[0], None)
            first.waiting.pop(0)
        elif job_id:
            self._start(job_id)
        return bool(first or job_id)

    def _start(self, job_id: str) -> None:
        self._executor.warm()
        is_alone = self._executor.capacity == 1
        try:
            job = self._spool.start(job_id)
        except RecordError as error:
            self._publisher.add_damaged(job_id, error)
            return
        except FileNotFoundError:
            if storage.is_there(self._spool.queued / job_id):
                raise
            return  # taken away meanwhile
        except UntouchableError as untouchable:
            self._spool.leave_alone(self._spool.queued / job_id, untouchable.error)
            return
        except OSError as error:
            if storage.is_refusal(error, *self._spool.places(job_id)):
                self._spool.leave_alone(self._spool.queued / job_id, error)
                return
            self.has_lost_track = True
            raise
        self.has_lost_track = True  # until it runs
        self._run(job, is_alone)
        self.has_lost_track = False
        if self._left_to_start is not None:
            self._left_to_start -= 1
        log.info("%s: started", job_id)

    def _run(self, job: Job, is_alone: bool) -> None:
        folder = self._spool.running / job.id
        own = attempt.place(folder, job.attempts)
        waiting: list[int] = []
        if (job.manifest and job.manifest.sweep) or attempt.is_in_parts(folder, job, self._executor.capacity):
            try:
                waiting = attempt.spread(folder, job) or [SHEET]
            except RecordError as error:
                self._publisher.add(job, Failed(reason=str(error)))
                return
        running = _Running(job, own, losses.Tail(own), self._step_timeout, waiting)
        if waiting:
            running.tail.read()  # what was logged before is no sign of a worker
        else:
            upcoming = self._spool.next() if is_alone else None  # of several workers nobody knows which will have it
            self._submit(running, None, self._spool.queued / upcoming if upcoming else None)
        self.running[job.id] = running

    def _submit(self, running: _Running, number: int | None, upcoming: Path | None) -> None:
        job, folder = running.job, self._spool.running / running.job.id
        run = self._executor.submit(job, folder, number, upcoming)
        run.future.add_done_callback(lambda _: self._wake())
        running.parts[number] = _Part(run, attempt.place(folder, job.attempts, number), time.monotonic())

    def _look_at(self, running: _Running) -> None:
        now = time.monotonic()
        ended = [number for number, part in running.parts.items() if part.is_over(now)]
        if now < running.next_look and not ended:
            return
        running.next_look = now + len(self.running) / LOOKS_PER_SECOND
        running.wake(now)
        if cancel.is_marked(self._spool.running / running.job.id):
            _cancel(running, now)
        if new := running.tail.read():
            for loss in new:
                if part := running.parts.get(loss.picture) or running.parts.get(None):
                    part.last_sign = now
            self._faults.mended(WORKER)
            self._unbegun = 0
        for number in ended:
            self._end(running, number)
        for part in running.parts.values():
            if now - part.last_sign > running.patience_seconds:
                log.warning("%s: no step for %g s; ending its worker", running.job.id, running.patience_seconds)
                part.last_sign = now
                part.run.kill()
        if not running.parts and not running.waiting:
            if running.outcome:
                self._settle(running, running.outcome)
            else:  # all variants are through
                running.waiting.append(SHEET)

    def _end(self, running: _Running, number: int | None) -> None:
        """Take note of how a part has ended. The first that does not come through ends the attempt for all."""
        part = running.parts.pop(number)
        outcome = part.run.future.result()
        if outcome.kind in ("stopped", "died") or part.is_told_to_stop:
            part.run.kill()  # whoever was told to stop takes no other job
        if outcome.kind in ("stopped", "died"):
            # A word that was not ours: somebody ended the process, such as a system that is out of memory.
            outcome = Outcome("stopped") if part.is_told_to_stop else self._death(part)
        if ended := result.read(part.place):  # it came through, whatever happened to its worker after that
            outcome, self._unbegun = Outcome("through"), 0
        if number in (None, SHEET):
            running.outcome = outcome
        elif number == SCOUT and outcome.kind == "through":
            running.waiting += variants.unpainted(running.attempt)  # none where the clip cannot be read
        elif outcome.kind == "through":
            running.has_progressed |= isinstance(ended, Done)
            if running.job.kind != "photo" and isinstance(ended, Failed):
                running.waiting.clear()  # a clip of which a part is missing is none
        elif running.outcome is None and outcome.kind == "lost" and not attempt.worker(part.place):
            running.waiting.insert(0, number)  # nobody has begun it, or it was left in order: another goes on
        elif running.outcome is None:
            running.outcome = outcome
            running.stop()

    def _death(self, part: _Part) -> Outcome:
        """What the end of a worker counts as: no job is to blame before it has begun."""
        if attempt.has_begun(part.place):
            return Outcome("died")
        self._unbegun += 1
        if self._unbegun < MAX_UNBEGUN:
            return Outcome("lost")
        self._unbegun = 0
        reason = f"the worker process was ended {MAX_UNBEGUN} times before it had begun a job"
        return Outcome("fault", f"{reason}; perhaps memory does not reach for it.")

    def _settle(self, running: _Running, outcome: Outcome) -> None:
        """Carry out what a job's outcome asks for. Is called again if the environment prevents it."""
        job = running.job.model_copy(update={"deaths": 0}) if running.has_progressed else running.job
        if outcome.kind == "through" or cancel.is_marked(self._spool.running / job.id):
            self._publisher.add(job, None)
        elif outcome.kind == "died" and job.deaths + 1 >= MAX_DEATHS:
            reason = f"its worker process died or hung {MAX_DEATHS} times; perhaps memory does not reach for this size."
            self._publisher.add(job, Failed(reason=reason))
        else:
            try:
                self._spool.put_back(job, died=outcome.kind == "died")
                if self._left_to_start is not None and outcome.kind in ("died", "lost"):
                    self._left_to_start += 1  # a job that is started again is one
            except FileNotFoundError:
                if storage.is_there(self._spool.running / job.id):
                    raise
            except OSError as error:
                if not storage.is_refusal(error, *self._spool.places(job.id)):
                    raise
                self._spool.leave_alone(self._spool.running / job.id, error)
        del self.running[job.id]
        if outcome.kind == "died":
            log.warning("%s: its worker process died (%d of %d)", job.id, job.deaths + 1, MAX_DEATHS)
        elif outcome.kind == "fault":
            self._faults.note(WORKER, outcome.reason)
        else:
            self._faults.mended(WORKER)


def _cancel(running: _Running, now: float) -> None:
    """Stop a job that is marked as cancelled, and have little patience from then on."""
    if not running.is_cancelled:
        running.is_cancelled, running.patience_seconds = True, CANCEL_SECONDS
        for part in running.parts.values():
            part.last_sign = now
        running.stop()
