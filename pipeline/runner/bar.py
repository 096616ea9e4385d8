"""How far a running job is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from tqdm import tqdm

from pipeline.jobs.losses import Loss

log = logging.getLogger(__name__)

PLAIN_INTERVAL_SECONDS = 10.0  # between lines where there is no terminal to draw a bar on


class Bar:
    """Shows job, step, loss and time left.

    Args:
        name: of the job.
        total: its steps in all.
    """

    def __init__(self, name: str, total: int) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total, desc=name, unit="step", dynamic_ncols=True, disable=not self._on_terminal, leave=False
        )
        self._name = name
        self._total = total
        self._step = 0
        self._seen = 0.0  # when that step was
        self._since: tuple[int, float] | None = None  # the step and the time that the pace is counted from
        self._printed = time.monotonic()

    def show(self, losses: Sequence[Loss]) -> None:
        """Show what is new in the loss log."""
        if not losses:
            return
        latest, now = losses[-1], time.monotonic()
        # The first look finds what was done before this run, or while nobody looked; a log that was cut starts anew.
        if self._since is None and self._step < latest.step and self._step:
            self._begin(self._step, self._seen)
        elif latest.step <= self._step:
            self._since = None
        self._step, self._seen = latest.step, now
        if self._on_terminal:
            self._bar.n = latest.step
            self._bar.set_postfix_str(f"{latest.scale} px, loss {latest.total:.3g}")
        elif now - self._printed >= PLAIN_INTERVAL_SECONDS:
            self._printed = now
            left = self.seconds_left()
            log.info(
                "%s: step %d/%d, %d px, loss %.3g%s",
                self._name,
                latest.step,
                self._total,
                latest.scale,
                latest.total,
                "" if left is None else f", {tqdm.format_interval(left)} left at this pace",
            )

    def seconds_left(self) -> float | None:
        """At the pace of this run; None before there is one."""
        if self._since is None:
            return None
        step, since = self._since
        return (self._total - self._step) * (self._seen - since) / (self._step - step)

    def _begin(self, step: int, seen: float) -> None:
        """Count the pace from here."""
        self._since = step, seen
        self._bar.reset()
        self._bar.initial = step

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
