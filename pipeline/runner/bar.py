"""How far a running job is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import itertools
import logging
import shutil
import sys
import time
import unicodedata
from collections.abc import Sequence
from typing import NoReturn

from tqdm import tqdm

from pipeline.jobs.losses import Loss, reached
from pipeline.jobs.pace import Paces, spoken
from pipeline.jobs.record import Job

log = logging.getLogger(__name__)

PLAIN_INTERVAL_SECONDS = 10.0  # between lines where there is no terminal to draw a bar on
NAME_COLUMNS = 20
KEPT_LOSSES = 1000  # that a pace is taken from
LEAST_COLUMNS = 8  # of the bar itself


def drawn(position: int, name: str) -> tqdm[NoReturn]:
    """A bar on the terminal, if there is one; line 0 is the batch's, those below are the jobs'."""
    return tqdm(
        total=100,
        desc=fitting(name),
        position=position,
        bar_format="{desc}: loading",
        dynamic_ncols=True,
        disable=not sys.stderr.isatty(),
        leave=False,
    )


def draw(bar: tqdm[NoReturn], part: float, says: Sequence[str]) -> None:
    """Show how far it is.

    Args:
        bar: of ``drawn``.
        part: of the whole that is done, from 0 to 1.
        says: what stands beside the bar, the most important first; the terminal's width decides how much of it.
    """
    if bar.disable:
        return
    room = shutil.get_terminal_size().columns - 1 - sum(map(_width, str(bar.desc))) - len(" 100%|| ") - LEAST_COLUMNS
    lengths = itertools.accumulate(len(text) + 2 for text in says)
    fitting = [text for text, length in zip(says, lengths, strict=True) if length - 2 <= room]
    bar.n = round(100 * part)
    bar.bar_format = "{desc} {percentage:3.0f}%|{bar}| " + ", ".join(fitting)
    bar.refresh()


def fitting(name: str) -> str:
    """A name that leaves room for the bar."""
    widths = list(map(_width, name))
    if sum(widths) <= NAME_COLUMNS:
        return name
    return name[: sum(width < NAME_COLUMNS for width in itertools.accumulate(widths))] + "…"


def _width(letter: str) -> int:
    """Columns that a letter takes."""
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


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
        self.at_once = 1  # how many of the job's pictures are painted at a time
        self.done: dict[int, int] = {}  # the last step seen of each of the job's pictures
        self._seen: list[Loss] = []
        self._left: float | None = None
        self._looked = self._printed = time.monotonic()
        self._is_begun = False  # whether a step of this run was seen
        self._bar = drawn(position, job.name)

    def show(self, new: Sequence[Loss], at_once: int = 1) -> None:
        """Show what is new in the loss log, of a job of which so many pictures are painted at a time."""
        self.at_once = at_once
        if not new:
            return
        is_cut = new[0].step <= self.done.get(new[0].picture, 0)  # it starts anew
        # The first look at a job that goes on finds what was done before this run.
        self._is_begun |= bool(self._seen) or (new[0].step == 1 and self._job.attempts <= 1)
        kept = [loss for loss in self._seen[-KEPT_LOSSES:] if not is_cut or loss.picture != new[0].picture]
        self._seen = [*kept, *new]
        self.done |= reached(new)
        self._looked = time.monotonic()
        self._left = self._paces.left(self._job, self._seen, self.done, at_once)
        if not self._is_begun:
            return
        draw(self._bar, self._part(), self._at())
        if self._bar.disable and self._looked - self._printed >= PLAIN_INTERVAL_SECONDS:
            self._printed = self._looked
            log.info("%s: %s", self._job.name, ", ".join(self._at()))

    def seconds_left(self) -> float | None:
        """Until the job's last step; None where that cannot be told."""
        if not self._seen:
            return self._paces.seconds([self._job])
        return self._left and max(1.0, self._left - (time.monotonic() - self._looked))

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    def _part(self) -> float:
        """What is done, by time where that is known: steps of different scales are not alike."""
        latest, left = self._seen[-1], self._left
        if left is not None and latest.seconds and not (self._job.manifest and self._job.manifest.sweep):
            return latest.seconds / (latest.seconds + left)
        return min(1.0, sum(self.done.values()) / max(1, self._job.steps))

    def _at(self) -> list[str]:
        latest, left = self._seen[-1], self._left
        says = [f"about {spoken(left)} left"] if left else []
        steps = f"{sum(self.done.values())}/{self._job.steps} steps"
        return [*says, steps, f"{latest.scale} px", f"loss {latest.total:.3g}"]
