"""Taking in, a moment at a time, so that what runs is looked at however much is dropped."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable

from pipeline import storage
from pipeline.errors import JobError
from pipeline.inbox.alarm import Alarm
from pipeline.inbox.claims import Claims, LostClaimError, UnclaimableError
from pipeline.inbox.readiness import Ready, Rejected, Waiting
from pipeline.inbox.scan import Scanner
from pipeline.inbox.staging import (
    ROOM_BYTES,
    ChangedError,
    bytes_of,
    keep_rejected,
    lack_of_room,
    rejected_job,
    require_unchanged,
    stage,
)
from pipeline.jobs.spool import Spool
from pipeline.runner.piecework import Piecework
from pipeline.runner.publisher import Publisher
from pipeline.storage import Slices

log = logging.getLogger(__name__)

RESCAN_SECONDS = 2.0
LEAST_SECONDS = 0.2  # between scans, however loud the alarm
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Intake:
    """The way from the inbox to the queue.

    Args:
        scanner: of the inbox.
        claims: what is taken from it.
        spool: the jobs folder.
        publisher: of rejections.
        alarm: says that a look is worth while before the next scan is due.
        warm: called when a job is about to come.
    """

    def __init__(
        self,
        scanner: Scanner,
        claims: Claims,
        spool: Spool,
        publisher: Publisher,
        alarm: Alarm,
        warm: Callable[[], None],
    ) -> None:
        self.scanner = scanner
        self.events_problem = ""  # why there are no events
        self.left_nothing = False  # the last whole scan left nothing to take in
        self._claims = claims
        self._spool = spool
        self._publisher = publisher
        self._alarm = alarm
        self._warm = warm
        self._work = Piecework(self._scan)
        self._ended = -RESCAN_SECONDS  # monotonic time of the last scan's end

    @property
    def is_busy(self) -> bool:
        """Whether a scan goes on at the next turn."""
        return self._work.is_under_way

    def turn(self) -> bool:
        """Take in what is ready, for a moment; the rest of the scan goes on at the next turn.

        Tells whether the last scan came to its end.
        """
        if self.is_busy or time.monotonic() >= self._ended + self._pause():
            self._claims.keep_fresh()
            self._work.turn()
        return not self.is_busy

    def close(self) -> None:
        """Take in no more; what is not through is as it was before."""
        self._work.close()
        self._alarm.stop()

    def _scan(self) -> Slices[None]:
        self._alarm.rung.clear()
        self.events_problem = self._alarm.keep_alive()
        self.left_nothing = False  # until all has been looked at
        all_settled = True
        for verdict in self.scanner.scan():
            if isinstance(verdict, Ready | Rejected):
                all_settled &= yield from self._accept(verdict)
            yield
        self.left_nothing = all_settled
        self._ended = time.monotonic()

    def _pause(self) -> float:
        """Seconds from the end of a scan to the next."""
        settling = any(waiting.is_settling for waiting in self.scanner.waiting.values())
        return LEAST_SECONDS if settling or self._alarm.rung.is_set() else RESCAN_SECONDS

    def _accept(self, verdict: Ready | Rejected) -> Slices[bool]:
        """Stage or reject a drop; tells whether it is settled. If not, it stays claimed and is judged anew."""
        if isinstance(verdict, Ready) and (told := self._lack_of_room(verdict)):
            self.scanner.wait(verdict.drop, Waiting(told, is_fault=True))
            return True
        self._warm()
        name = verdict.manifest.name if verdict.manifest else verdict.drop.default_name
        try:
            drop = self._claims.take(verdict.drop, name, self._is_taken)
        except FileNotFoundError:  # taken away since it was judged
            return True
        except UnclaimableError as error:
            self.scanner.wait(verdict.drop, Waiting(f"cannot be taken: {error}", is_fault=True))
            return True
        job_id = str(drop.id)
        try:
            require_unchanged(verdict, drop)
            if isinstance(verdict, Ready) and not self._publisher.is_published(job_id):
                yield from stage(self._claims, self._spool, verdict, drop)
                log.info("%s: queued", job_id)
                return True
            if self._spool.is_alive(job_id):  # left by a crash, or put there by somebody: the job has gone on
                self._claims.let_go(drop)
                return True
            reason = verdict.reason if isinstance(verdict, Rejected) else ""
            job = rejected_job(verdict, drop)
            yield from self._publisher.reject(job, reason, drop.manifest)
            yield from keep_rejected(self._claims, self._spool, job, drop)
        except LostClaimError:
            log.warning("%s: another runner has taken it over", job_id)
        except (ChangedError, FileNotFoundError, JobError):
            return False
        except OSError as error:
            places = drop.entry, *self._spool.places(job_id), *self._publisher.places(job_id)
            if not storage.is_refusal(error, *places) and not self._is_of_large(error):
                raise
            why = f"cannot be taken: {error.strerror} ({error.filename})"
            self.scanner.wait(verdict.drop, Waiting(why, is_fault=True))
        return True

    def _lack_of_room(self, ready: Ready) -> str:
        if ready.drop.id and self._spool.is_alive(ready.drop.id):  # copied by an earlier life
            return ""
        return lack_of_room(self._spool.folder, bytes_of(ready))

    def _is_of_large(self, error: OSError) -> bool:
        """Whether it was one drop alone that a disk had no room for, and others go on."""
        return error.errno in _NO_ROOM and storage.free_bytes(self._spool.folder) >= ROOM_BYTES

    def _is_taken(self, job_id: str) -> bool:
        return self._spool.holds(job_id) or self._publisher.is_there(job_id)
