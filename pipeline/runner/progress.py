"""How far the work is: said at the start, then by bars on a terminal, else by a line now and then; said at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from tqdm import tqdm
from tqdm.utils import disp_len, disp_trim

from pipeline.forecast.paces import Estimate, Paces
from pipeline.forecast.words import counted, spoken, told
from pipeline.forecast.work import paintings_left
from pipeline.jobs import attempt
from pipeline.jobs.record import Job, RecordError
from pipeline.jobs.spool import Spool
from pipeline.outbox.overview import Queue, Running, at_work
from pipeline.runner.publisher import Tally

RECORDS = 500  # of the queue that are read; thousands may lie there
BAR_SECONDS, LINE_SECONDS = 0.5, 10.0  # between looks for a terminal, and for lines
LEAST_PART = 20  # a look may take one in so many seconds
NAME_COLUMNS = 20
BATCH = "all"  # the bar above those of the jobs

log = logging.getLogger(__name__)


class Progress:
    """Tells how far the work of a jobs folder is.

    Args:
        spool: the jobs folder.
        paces: what is known of this machine.
    """

    def __init__(self, spool: Spool, paces: Paces) -> None:
        self._spool = spool
        self._paces = paces
        self._has_told_count = self._has_told_time = False
        self._bars: dict[str, tqdm[NoReturn]] = {}  # by the job's id
        self._next = 0.0  # monotonic time of the next look
        self._next_line = time.monotonic() + LINE_SECONDS

    def turn(self, tally: Tally, workers: int, is_settled: bool) -> None:
        """Say once what there is to do, and again when it is known how long that takes; show how far it is.

        Args:
            tally: what is done.
            workers: how many jobs run at once.
            is_settled: whether what was dropped before is taken in.
        """
        begun = time.monotonic()
        if begun < self._next:
            return
        running, queue = at_work(self._spool, self._paces)
        if is_settled and (running or queue.count) and not self._has_told_time:
            self._tell(running, workers)
        if sys.stderr.isatty():
            # A batch's total would otherwise grow while the first drops are taken in.
            self._draw(running, queue, tally if is_settled or tally.done or tally.failed else None)
        elif begun >= self._next_line:
            self._next_line = begun + LINE_SECONDS
            for job in running:
                if job.stage == "painting":
                    log.info("%s: %s", job.name, ", ".join(_at(job)))
        interval = BAR_SECONDS if sys.stderr.isatty() or not self._has_told_time else LINE_SECONDS
        self._next = begun + max(interval, LEAST_PART * (time.monotonic() - begun))

    def left(self, workers: int = 1) -> tuple[int, Estimate | None]:
        """How many jobs are queued, and about how long they take from a cold start."""
        with contextlib.suppress(OSError):  # the folder may be gone
            return len(self._spool.in_order()), self._ahead((), workers, is_warm=False)[0]
        return 0, None

    def close(self) -> None:
        """Take the bars away, the first line's last: it leaves the cursor at the line's beginning."""
        for bar in sorted(self._bars.values(), key=lambda bar: bar.pos):  # lines count downwards from 0
            bar.close()

    def _ahead(self, running: Sequence[Running], workers: int, is_warm: bool) -> tuple[Estimate | None, int, str]:
        """About how long what is to be painted takes, of a long queue by the first; how much it is, and of what."""
        folders = [self._spool.running / job.id for job in running]
        folders += [self._spool.queued / job_id for job_id in self._spool.in_order()]
        work = []
        for folder in folders[:RECORDS]:
            with contextlib.suppress(OSError, RecordError):  # it fails, which takes no time
                job = Job.load(folder)
                work += paintings_left(job, attempt.earlier_losses(folder, job.attempts + 1))
        more = len(folders[RECORDS:])
        found = self._paces.estimate(work, workers, is_warm)
        found = found and dataclasses.replace(found, seconds=found.seconds * (len(work) + more) / len(work))
        return found, *counted(work, more)

    def _tell(self, running: Sequence[Running], workers: int) -> None:
        found, count, of = self._ahead(running, workers, is_warm=self._has_told_count)  # by then one has been painted
        if count and (found or not self._has_told_count):
            log.info("%s", told(count, found, of))
        self._has_told_count, self._has_told_time = True, found is not None

    def _draw(self, running: Sequence[Running], queue: Queue, tally: Tally | None) -> None:
        """A bar for each job that runs, below the batch's, which is there once there is a tally."""
        for job_id in self._bars.keys() - {BATCH, *(job.id for job in running)}:
            self._bars.pop(job_id).close()
        if tally and (running or self._bars):
            ended = tally.done + tally.failed
            total = ended + len(running) + queue.count
            seconds = _seconds_left(running, queue)
            says = [f"{ended}/{total} jobs"]
            says += [f"about {spoken(seconds)} left"] if seconds else []
            says += [f"{tally.failed} failed"] if tally.failed else []
            _show(self._bar(BATCH, BATCH, 0), ended / max(1, total), says)
        for job in running:
            bar = self._bar(job.id, job.name)
            if job.stage == "painting":
                _show(bar, job.step / max(1, job.steps), _at(job))

    def _bar(self, key: str, name: str, line: int | None = None) -> tqdm[NoReturn]:
        if key not in self._bars:
            taken = {-bar.pos for bar in self._bars.values()}
            line = next(n for n in itertools.count(1) if n not in taken) if line is None else line
            form = "{desc}: loading"
            self._bars[key] = tqdm(
                total=100, desc=fitting(name), position=line, bar_format=form, dynamic_ncols=True, leave=False
            )
        return self._bars[key]


def _seconds_left(running: Sequence[Running], queue: Queue) -> float | None:
    """Until all is done; None where it is not known of a part."""
    lefts = [job.seconds_left for job in running if job.seconds_left is not None]
    return queue.seconds_left if queue.count or len(lefts) < len(running) else max(lefts, default=None)


def fitting(name: str) -> str:
    """A name that leaves room for the bar."""
    return name if disp_len(name) <= NAME_COLUMNS else disp_trim(name, NAME_COLUMNS - 1) + "…"


def _show(bar: tqdm[NoReturn], part: float, says: Sequence[str]) -> None:
    """Part of the whole that is done, from 0 to 1, and what stands beside it; the terminal's width decides how much."""
    bar.n = round(100 * min(1.0, part))
    bar.bar_format = "{desc} {percentage:3.0f}%|{bar}| " + ", ".join(says)
    bar.refresh()


def _at(job: Running) -> list[str]:
    """Where a job is, the most important first."""
    left = [f"about {spoken(job.seconds_left)} left"] if job.seconds_left else []
    at = f"frame {job.frame}/{job.frames}" if job.frames else f"{job.step}/{job.steps} steps"
    return [*left, at, f"{job.scale} px", f"loss {job.loss:.3g}"]
