"""Results on their way to the outbox, and what is told of them."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline import storage
from pipeline.jobs import attempt, cancel, result
from pipeline.jobs import log as logs
from pipeline.jobs.log import Log
from pipeline.jobs.record import Job, RecordError, name_in, now
from pipeline.jobs.result import Failed, Result
from pipeline.jobs.spool import Spool, dropped_in
from pipeline.outbox import pictures
from pipeline.outbox.publish import publish, withdraw
from pipeline.runner.piecework import Piecework
from pipeline.storage import Slices

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0  # between tries at what something is in the way of
PICTURED = "pictured"  # in a job's folder: what becomes of its picture is its reader's from now on


@dataclass
class Tally:
    """What a runner has done so far."""

    done: int = 0
    failed: int = 0


class Publisher:
    """Carries ended jobs to the outbox, in the order in which they ended.

    Args:
        spool: the jobs folder.
        outbox: where results go.
        announce: told in a line how each job ended.
        on_failure: told of each that failed, once it is published.
        with_pictures: whether pictures are put into the outbox's folder of them, too.
    """

    def __init__(
        self,
        spool: Spool,
        outbox: Path,
        announce: Callable[[str], None],
        on_failure: Callable[[Log], None] = lambda published: None,
        with_pictures: bool = True,
    ) -> None:
        self.tally = Tally()
        self.waiting: dict[str, tuple[Job, Result | None]] = {}
        self.blocked: dict[str, str] = {}  # those of them that cannot be published, and why
        self._spool = spool
        self._outbox = outbox
        self._announce = announce
        self._on_failure = on_failure
        self._with_pictures = with_pictures
        self._paused_until: dict[str, float] = {}  # in monotonic time: the tries at those
        self._rejected: set[str] = set()  # that have been told
        self._problem = ""  # of the folder of pictures
        self._work = Piecework(self._publish_all)

    @property
    def backlog(self) -> int:
        """How many results wait for the outbox, which will take them."""
        return len(self.waiting) - len(self.blocked)

    def add(self, job: Job, ended: Result | None) -> None:
        """Publish a job of ``running/`` at the next turn; ``None`` for what its worker has left there."""
        self.waiting[job.id] = job, ended

    def add_damaged(self, job_id: str, error: RecordError) -> None:
        """Publish the failure of a job in ``running/`` whose record tells nothing but that."""
        self.add(Job(id=job_id, name=name_in(job_id), claimed_at=now()), Failed(reason=str(error)))

    def turn(self) -> bool:
        """Publish what waits, for a moment; the rest, and what the environment prevents, is tried at the next turn.

        Tells whether all of it has been tried.
        """
        self._work.turn()
        return not self._work.is_under_way

    def _publish_all(self) -> Slices[None]:
        for job_id in sorted(self.waiting, key=self.blocked.__contains__):  # those in whose way something is: last
            if time.monotonic() < self._paused_until.get(job_id, 0.0):
                continue
            try:
                yield from self._publish(*self.waiting[job_id])
                del self.waiting[job_id]
                self.blocked.pop(job_id, None)
                self._paused_until.pop(job_id, None)
            except OSError as error:
                if not storage.is_refusal(error, *self.places(job_id), *self._spool.places(job_id)):
                    raise
                self._paused_until[job_id] = time.monotonic() + PAUSE_SECONDS
                if job_id not in self.blocked:
                    self.blocked[job_id] = _in_the_way(error)
                    log.error("%s", self.blocked[job_id])
            yield

    def places(self, job_id: str) -> tuple[Path, ...]:
        """Where the result of a job is, or is built."""
        return self._outbox / job_id, self._outbox / f".{job_id}"

    def reject(self, job: Job, reason: str, manifest: Path) -> Slices[None]:
        """Publish the failure of a drop that never became a job, once; one of before a crash is final."""
        published = logs.read(self._outbox, job.id)
        if published is None:
            published = yield from publish(self._outbox, job, None, Failed(reason=reason), manifest)
        elif job.id in self._rejected:  # what is left to do with the drop is tried again
            return
        self._rejected.add(job.id)
        self._count(published)

    def is_published(self, job_id: str) -> bool:
        """Whether a drop of this id has its result in the outbox."""
        return logs.read(self._outbox, job_id) is not None

    def published(self, job: Job) -> Log | None:
        """The log of a job's result in the outbox; none of a failure that was left there by a `retry` elsewhere."""
        found = logs.read(self._outbox, job.id)
        is_left = found and found.status == "failed" and found.job.attempts < job.attempts
        return None if is_left else found

    def is_there(self, job_id: str) -> bool:
        """Whether the outbox has something of this name."""
        return storage.is_there(self._outbox / job_id)

    def _publish(self, job: Job, ended: Result | None) -> Slices[None]:
        """Carry a job to the outbox and the spool to its final state, wherever an earlier try broke off."""
        if not storage.is_there(self._spool.running / job.id):
            return
        folder = self._spool.running / job.id
        own = attempt.place(folder, job.attempts)
        published = self.published(job)
        if published is None:
            if logs.read(self._outbox, job.id):  # of an earlier attempt
                withdraw(self._outbox, job.id)
            ended = ended or result.read(own) or cancel.read(folder)
            ended = ended or Failed(reason="its result is gone from the job's folder.")
            try:
                published = yield from publish(self._outbox, job, own, ended, dropped_in(folder))
            except RecordError as error:
                published = yield from publish(self._outbox, job, own, Failed(reason=str(error)), dropped_in(folder))
        if published.status == "done":
            if self._with_pictures and job.manifest:
                yield from self._add_pictures(job)
            self._spool.finish(published)
        else:
            self._spool.fail(job.id)
        self._count(published)

    def _add_pictures(self, job: Job) -> Slices[None]:
        """Put a whole result's pictures into their folder, once; what is in the way of that is told, and no more."""
        mark = self._spool.running / job.id / PICTURED
        try:
            if storage.is_there(mark):
                return
            yield from pictures.add(self._outbox, job)
            self._problem = ""
        except (OSError, RecordError) as error:
            said = (error.strerror if isinstance(error, OSError) else None) or str(error)
            if said != self._problem:
                log.warning("%s: no picture in %s (%s); its result is whole", job.id, logs.PICTURES, said)
            self._problem = said
        with contextlib.suppress(OSError):
            storage.mark(mark)

    def _count(self, published: Log) -> None:
        place = self._outbox / published.job.id
        if published.output:
            self.tally.done += 1
            self._announce(f"done    {place / published.output.file}")
        elif published.is_cancelled:
            self._announce(f"cancelled  {place / published.job.name}.json: {published.error}")
        else:
            self.tally.failed += 1
            self._announce(f"failed  {place / published.job.name}.json: {published.error}")
            self._on_failure(published)


def _in_the_way(error: OSError) -> str:
    """What an entry of somebody else, where a result of ours should be, is told by."""
    if isinstance(error, PermissionError):
        return f"{error.filename}: {error.strerror}; a result waits for it"
    return f"{error.filename} is in the way of a result; move it elsewhere"
