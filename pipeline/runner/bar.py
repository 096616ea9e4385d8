"""How far a running job is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import itertools
import logging
import sys
import time
import unicodedata
from collections.abc import Sequence

from tqdm import tqdm

from pipeline.jobs.losses import Loss
from pipeline.jobs.pace import Paces, spoken
from pipeline.jobs.record import Job

log = logging.getLogger(__name__)

PLAIN_INTERVAL_SECONDS = 10.0  # between lines where there is no terminal to draw a bar on
NAME_COLUMNS = 20
KEPT_LOSSES = 1000  # that a pace is taken from
LOADING = "{desc}: {postfix}"
PAINTING = "{desc}: {percentage:3.0f}%|{bar}| {postfix}"


def drawn(position: int, name: str) -> tqdm[None]:
    """A bar on the terminal, if there is one; line 0 is the batch's, those below are the jobs'."""
    return tqdm(
        total=100,
        desc=fitting(name),
        position=position,
        bar_format=LOADING,
        dynamic_ncols=True,
        disable=not sys.stderr.isatty(),
        leave=False,
    )


def fitting(name: str) -> str:
    """A name that leaves room for the bar."""
    widths = [2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name]
    if sum(widths) <= NAME_COLUMNS:
        return name
    return name[: sum(width < NAME_COLUMNS for width in itertools.accumulate(widths))] + "…"


class Bar:
    """Shows a job's step, loss and time left.

    Args:
        job: its record.
        paces: what steps take on this machine.
        position: its line on the terminal.
    """

    def __init__(self, job: Job, paces: Paces, position: int = 1) -> None:
        self.position = position
        self._job = job
        self._paces = paces
        self._seen: list[Loss] = []
        self._left: float | None = None
        self._looked = self._begun = self._printed = time.monotonic()
        self._is_begun = False  # whether a step of this run was seen
        self._bar = drawn(position, job.name)
        self._bar.set_postfix_str("loading")

    def show(self, new: Sequence[Loss]) -> None:
        """Show what is new in the loss log."""
        if not new:
            return
        is_cut = bool(self._seen) and new[0].step <= self._seen[-1].step  # it starts anew
        # The first look at a job that goes on finds what was done before this run.
        self._is_begun |= is_cut or bool(self._seen) or (new[0].step == 1 and self._job.attempts <= 1)
        self._seen = [*([] if is_cut else self._seen[-KEPT_LOSSES:]), *new]
        self._looked = time.monotonic()
        self._left = self._paces.left(self._job, self._seen)
        if not self._is_begun:
            self._bar.set_postfix_str("loading, to go on where it was")
            return
        self._draw()
        if self._bar.disable and self._looked - self._printed >= PLAIN_INTERVAL_SECONDS:
            self._printed = self._looked
            log.info("%s: %s", self._job.name, self._at())

    def seconds_left(self) -> float | None:
        """Until the job's last step; None where that cannot be told."""
        if not self._seen:
            return self._paces.seconds([self._job])
        return self._left and max(1.0, self._left - (time.monotonic() - self._looked))

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    def _draw(self) -> None:
        left, used = self._left, self._looked - self._begun
        step = self._seen[-1].step
        # By what is left of the time, as steps of different scales are not alike.
        spent = self._seen[-1].seconds or used
        self._bar.n = round(100 * (spent / (spent + left) if left is not None else step / max(1, self._job.steps)))
        self._bar.bar_format = PAINTING
        self._bar.set_postfix_str(self._at())

    def _at(self) -> str:
        latest = self._seen[-1]
        left = self._left
        time_left = f", about {spoken(left)} left" if left else ""
        return f"{latest.step}/{self._job.steps} steps, {latest.scale} px, loss {latest.total:.3g}{time_left}"
