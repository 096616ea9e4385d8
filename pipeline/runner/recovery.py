"""Taking up what an earlier life, or a fault, has left half done."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline import storage
from pipeline.inbox.claims import Claims
from pipeline.jobs import attempt, cancel, result
from pipeline.jobs.record import RecordError
from pipeline.jobs.spool import Spool, UntouchableError
from pipeline.outbox import cancelling, publish
from pipeline.runner.dispatch import Dispatch
from pipeline.runner.publisher import Publisher

log = logging.getLogger(__name__)


class Recovery:
    """Sorts out what lies in ``running/``: a job is published, failed or queued again, never lost or run twice."""

    def __init__(self, spool: Spool, outbox: Path, claims: Claims, publisher: Publisher, dispatch: Dispatch) -> None:
        self.is_done = False
        self._is_tidy = False
        self._spool = spool
        self._outbox = outbox
        self._claims = claims
        self._publisher = publisher
        self._dispatch = dispatch

    def turn(self) -> None:
        """Recover, unless that is done and nothing has been lost track of since."""
        if self._dispatch.has_lost_track:
            self.is_done = self._dispatch.has_lost_track = False
        if self.is_done:
            return
        if not self._is_tidy:  # later it would take for left what is being copied now
            self._tidy()
        for job_id in self._spool.interrupted():
            if job_id not in self._dispatch.running and job_id not in self._publisher.waiting:
                try:
                    self._take_up(job_id)
                except UntouchableError as untouchable:
                    self._spool.leave_alone(self._spool.running / job_id, untouchable.error)
                except OSError as error:
                    if not storage.is_refusal(error, *self._spool.places(job_id)):
                        raise
                    self._spool.leave_alone(self._spool.running / job_id, error)
        self.is_done = True

    def _tidy(self) -> None:
        self._spool.prepare()
        publish.clean(self._outbox, self._spool.holds)
        self._claims.clean()
        cancelling.answer_all(self._spool, self._outbox)
        self._is_tidy = True

    def _take_up(self, job_id: str) -> None:
        try:
            job = self._spool.load(job_id)
        except RecordError as error:
            self._publisher.add_damaged(job_id, error)
            return
        folder = self._spool.running / job_id
        own = attempt.place(folder, job.attempts)
        if self._publisher.published(job) or cancel.is_marked(folder) or _is_through(own):
            self._publisher.add(job, None)
        else:
            self._spool.put_back(job)


def _is_through(own: Path) -> bool:
    """Whether an attempt has left its result; one without its picture is made again from the checkpoint."""
    ended = result.read(own)
    if ended is None:
        return False
    is_whole = result.is_whole(own, ended)
    if not is_whole:
        log.warning("%s: its picture is not as it was painted; it is painted again", own.parent.name)
    return is_whole
