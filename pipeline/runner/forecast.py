"""How much work there is, and how long it takes: said at the start, shown above the jobs' bars, said at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import NoReturn

from tqdm import tqdm

from pipeline.jobs import losses
from pipeline.jobs.measured import Estimate
from pipeline.jobs.pace import Paces, spoken, told
from pipeline.jobs.record import Job, RecordError
from pipeline.jobs.spool import Spool
from pipeline.jobs.work import Painting, paintings_of
from pipeline.runner.bar import Bar, draw, drawn
from pipeline.runner.publisher import Tally

log = logging.getLogger(__name__)

RECORDS_A_TURN = 50  # that are read: thousands may be queued
REDRAW_SECONDS = 1.0


class Forecast:
    """Keeps account of the queue's work.

    Args:
        spool: the jobs folder.
        paces: what steps take on this machine.
    """

    def __init__(self, spool: Spool, paces: Paces) -> None:
        self._spool = spool
        self._paces = paces
        self._work: dict[str, list[Painting]] = {}  # of the queued jobs
        self._is_open = False  # nothing, or not the time, has been said
        self._has_begun = False
        self._bar: tqdm[NoReturn] | None = None
        self._drawn = 0.0

    def turn(self, running: Collection[tuple[Job, Bar]], tally: Tally, workers: int, is_settled: bool) -> None:
        """Say once what there is to do, and again when it is known how long that takes; draw the batch's bar.

        Args:
            running: the jobs that run.
            tally: what is done.
            workers: how many jobs run at once.
            is_settled: whether what was dropped before is taken in.
        """
        self._read()
        if is_settled and (running or self._work) and (self._is_open or not self._has_begun):
            work = [painting for job, bar in running for painting in paintings_of(job, bar.step)]
            work += [painting for queued in self._work.values() for painting in queued]
            found = self._paces.estimate(work, workers)
            if found or not self._has_begun:
                log.info("%s", told(len(work), found))
            self._has_begun, self._is_open = True, found is None
        if time.monotonic() - self._drawn >= REDRAW_SECONDS and (running or tally.done or tally.failed):
            self._drawn = time.monotonic()
            self._draw(running, tally, workers)

    def left(self, workers: int = 1) -> tuple[int, Estimate | None]:
        """How many jobs are queued, and what they take from a cold start."""
        self._read(limit=None)
        return len(self._work), self._paces.estimate([one for work in self._work.values() for one in work], workers)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _read(self, limit: int | None = RECORDS_A_TURN) -> None:
        queued = self._spool.queued_ids()
        self._work = {job_id: self._work[job_id] for job_id in queued if job_id in self._work}
        for job_id in [job_id for job_id in queued if job_id not in self._work][:limit]:
            folder = self._spool.queued / job_id
            try:
                job = Job.load(folder)
                seen = losses.Tail(folder).read() if job.attempts else []
                self._work[job_id] = paintings_of(job, seen[-1].step if seen else 0)
            except (OSError, RecordError):
                self._work[job_id] = []  # it fails, which takes no time

    def _draw(self, running: Collection[tuple[Job, Bar]], tally: Tally, workers: int) -> None:
        ended = tally.done + tally.failed
        queued = self._paces.estimate([one for work in self._work.values() for one in work], is_warm=True)
        lefts = [bar.seconds_left() for _, bar in running]
        known = [left for left in lefts if left is not None]
        is_known = len(known) == len(lefts) and (queued is not None or not self._work)
        seconds = (sum(known) + (queued.seconds if queued else 0.0)) / workers
        self._bar = self._bar or drawn(0, "all")
        total = ended + len(running) + len(self._work)
        parts = [f"about {spoken(seconds)} left"] if is_known and seconds else []
        parts += [f"{tally.failed} failed"] if tally.failed else []
        draw(self._bar, ended / max(1, total), [f"{ended}/{total} jobs", *parts])
