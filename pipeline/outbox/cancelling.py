"""Cancelling a job from any process, beside a runner or without one."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from pipeline import storage
from pipeline.errors import EnvironmentFault, UsageError
from pipeline.jobs import attempt, cancel, lock, log, result
from pipeline.jobs.record import Job, RecordError, is_job_id, name_in, now
from pipeline.jobs.spool import Spool
from pipeline.outbox.publish import publish

_log = logging.getLogger(__name__)

TRIES = 10  # while the job goes from one state to another


def cancel_job(spool: Spool, outbox: Path, job_id: str, by: str) -> str:
    """Cancel a queued or running job, and answer its owner; gives what becomes of it, in words.

    The mark comes first: whatever happens then, the job is not painted any more. Of a runner and this the one whose
    rename comes first has the job; a runner that has it sees the mark and files it as cancelled.

    Raises:
        UsageError: no queued or running job has this id.
        EnvironmentFault: there is no outbox to answer in.
    """
    if not storage.is_folder(outbox):
        raise EnvironmentFault(f"{outbox}: not there.", "Name the outbox with --outbox.")
    queued, running = spool.queued / job_id, spool.running / job_id
    for _ in range(TRIES if is_job_id(job_id) and Path(job_id).name == job_id else 0):
        with contextlib.suppress(FileNotFoundError):  # it has moved on: look again
            if storage.is_folder(queued):
                cancel.mark(queued, by)
                spool.cancel(queued)
            elif storage.is_folder(running):
                if _is_through(running):
                    raise UsageError(f"{job_id}: is through; its result is on its way to the outbox.")
                cancel.mark(running, by)
                with lock.without_runner(spool.folder) as is_free:
                    if is_free:
                        spool.cancel(running)
                if not is_free and cancel.is_marked(running):
                    return "stops now"
        if cancel.is_marked(spool.failed / job_id):
            answer(spool, outbox, job_id)
            return "cancelled"
        if not storage.is_folder(queued) and not storage.is_folder(running):
            break
    _require_cancelled(outbox, job_id)  # just now by its runner, or long ago
    return "cancelled"


def require_cancellable(spool: Spool, outbox: Path, job_id: str) -> None:
    """So that nothing is cancelled where one of several ids is none; ``cancel_job`` has the last word.

    Raises:
        UsageError: no queued, running or cancelled job has this id.
    """
    states = (spool.queued, spool.running, spool.queued)  # twice, as it may be put back meanwhile
    if is_job_id(job_id) and any(storage.is_folder(state / job_id) for state in states):
        return
    if not (is_job_id(job_id) and cancel.is_marked(spool.failed / job_id)):
        _require_cancelled(outbox, job_id)


def _require_cancelled(outbox: Path, job_id: str) -> None:
    published = log.read(outbox, job_id) if is_job_id(job_id) else None
    if not (published and published.is_cancelled):
        raise UsageError(f"{job_id}: no queued or running job of this id.", "`stylistic status` lists them.")


def _is_through(folder: Path) -> bool:
    try:
        return result.read(attempt.place(folder, Job.load(folder).attempts)) is not None
    except (FileNotFoundError, RecordError):
        return False


def answer(spool: Spool, outbox: Path, job_id: str) -> None:
    """Tell the owner of a cancelled job in ``failed/``, unless that has been done."""
    folder = spool.failed / job_id
    ended = cancel.read(folder)
    if ended is None:
        return
    if log.read(outbox, job_id) is None:
        try:
            job = Job.load(folder)
        except (FileNotFoundError, RecordError):
            job = Job(id=job_id, name=name_in(job_id), claimed_at=now())
        storage.at_once(publish(outbox, job, attempt.place(folder, job.attempts), ended))
    storage.remove(folder / cancel.FILE)


def answer_all(spool: Spool, outbox: Path) -> None:
    """Tell the owners of jobs whose cancelling was cut off."""
    for entry in storage.entries(spool.failed):
        try:
            if entry.is_folder and cancel.is_marked(entry.path):
                answer(spool, outbox, entry.name)
        except OSError as error:  # the job has ended all the same
            _log.warning("%s: cancelled, but cannot be answered (%s)", entry.name, error.strerror)
