"""How much work there is, and how long it takes: said at the start, shown above the jobs' bars, said at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Collection
from typing import NoReturn

from tqdm import tqdm

from pipeline.jobs import attempt
from pipeline.jobs.losses import reached
from pipeline.jobs.measured import Estimate
from pipeline.jobs.pace import Paces, spoken, told
from pipeline.jobs.record import Job, RecordError
from pipeline.jobs.spool import Spool
from pipeline.jobs.work import Painting, paintings_of
from pipeline.runner.bar import Bar, draw, drawn
from pipeline.runner.publisher import Tally

log = logging.getLogger(__name__)

RECORDS = 500  # of the queue that are read; thousands may lie there
RECORDS_A_TURN = 50
LOOK_SECONDS = 0.5


class Forecast:
    """Keeps account of the queue's work.

    Args:
        spool: the jobs folder.
        paces: what steps take on this machine.
    """

    def __init__(self, spool: Spool, paces: Paces) -> None:
        self._spool = spool
        self._paces = paces
        self._count = 0  # of the queue
        self._work: dict[str, list[Painting]] = {}  # of the queued jobs that have been read
        self._has_told_count = self._has_told_time = False
        self._bar: tqdm[NoReturn] | None = None
        self._looked = 0.0

    def turn(self, running: Collection[tuple[Job, Bar]], tally: Tally, workers: int, is_settled: bool) -> None:
        """Say once what there is to do, and again when it is known how long that takes; draw the batch's bar.

        Args:
            running: the jobs that run.
            tally: what is done.
            workers: how many jobs run at once.
            is_settled: whether what was dropped before is taken in.
        """
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        is_read = self._read(RECORDS_A_TURN)
        if is_settled and is_read and (running or self._count) and not self._has_told_time:
            self._tell(running, workers)
        # Its total would otherwise grow while the first drops are taken in.
        if tally.done or tally.failed or (running and (is_settled or self._bar is not None)):
            self._draw(running, tally, workers)

    def left(self, workers: int = 1) -> tuple[int, Estimate | None]:
        """How many jobs are queued, and about how long they take from a cold start."""
        with contextlib.suppress(OSError):  # the folder may be gone
            self._read(RECORDS)
            return self._count, self._queued(workers, is_warm=False)
        return 0, None

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _read(self, limit: int) -> bool:
        """Look what is queued; tells whether all that is to be read has been."""
        queued = self._spool.queued_ids()
        self._count = len(queued)
        self._work = {job_id: self._work[job_id] for job_id in queued if job_id in self._work}
        limit = min(limit, RECORDS - len(self._work))
        for job_id in [job_id for job_id in queued if job_id not in self._work][:limit]:
            folder = self._spool.queued / job_id
            try:
                job = Job.load(folder)
                seen = attempt.earlier_losses(folder, job.attempts + 1)
                self._work[job_id] = paintings_of(job, reached(seen))
            except (OSError, RecordError):
                self._work[job_id] = []  # it fails, which takes no time
        return len(self._work) >= min(self._count, RECORDS)

    def _queued(self, workers: int, is_warm: bool) -> Estimate | None:
        """What the queue takes, from the part of it that was read."""
        work = [painting for of_job in self._work.values() for painting in of_job]
        found = self._paces.estimate(work, workers, is_warm)
        return found and dataclasses.replace(found, seconds=found.seconds * self._count / len(self._work))

    def _tell(self, running: Collection[tuple[Job, Bar]], workers: int) -> None:
        begun = [painting for job, bar in running for painting in paintings_of(job, bar.done)]
        work = begun + [painting for of_job in self._work.values() for painting in of_job]
        unread = self._count - len(self._work)
        found = self._paces.estimate(work, workers)
        if found and work:
            found = dataclasses.replace(found, seconds=found.seconds * (len(work) + unread) / len(work))
        if work and (found or not self._has_told_count):
            log.info("%s", told(len(work) + unread, found))
        self._has_told_count, self._has_told_time = True, found is not None

    def _draw(self, running: Collection[tuple[Job, Bar]], tally: Tally, workers: int) -> None:
        ended = tally.done + tally.failed
        queued = self._queued(workers, is_warm=True)
        lefts = [(bar.seconds_left(), bar.at_once) for _, bar in running]
        known = [(left, at_once) for left, at_once in lefts if left is not None]
        work = sum(left * at_once for left, at_once in known)
        seconds = max([work / workers + (queued.seconds if queued else 0.0), *(left for left, _ in known)])
        is_known = len(known) == len(lefts) and (queued is not None or not self._count)
        total = ended + len(running) + self._count
        parts = [f"about {spoken(seconds)} left"] if is_known and seconds else []
        parts += [f"{tally.failed} failed"] if tally.failed else []
        self._bar = self._bar or drawn(0, "all")
        draw(self._bar, ended / max(1, total), [f"{ended}/{total} jobs", *parts])
