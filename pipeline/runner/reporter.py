"""Keeps the runner's report current: what waits and for what, what is not understood, what the machine lacks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from pipeline.inbox.readiness import Waiting
from pipeline.jobs import report
from pipeline.jobs.record import now
from pipeline.jobs.report import Report, Waits
from pipeline.runner.publisher import Tally

LEAST_SECONDS = 1.0  # between writings
LISTED = 200  # of those that wait, of what is not understood, and of what is painted already


class Reporter:
    """Writes ``jobs/.report.json`` when what it says has changed.

    Args:
        jobs: the jobs folder.
        inbox: the inbox.
        tally: what the runner has done so far.
    """

    def __init__(self, jobs: Path, inbox: Path, tally: Tally) -> None:
        self._jobs = jobs
        self._tally = tally
        self._first = Report(pid=os.getpid(), inbox=str(inbox), since=now())
        self._seen: tuple[Mapping[str, Waiting], set[str], set[str], list[str]] | None = None
        self._last: Report | None = None
        self._written = 0.0

    def keep_current(
        self,
        waiting: Mapping[str, Waiting],
        hints: Set[str],
        repeats: Set[str],
        faults: Sequence[str],
        at_end: bool = False,
    ) -> None:
        """Write the report if it would say something new; not at once if it was written a moment ago.

        Args:
            waiting: why drops wait, by their labels; another mapping after every scan.
            hints: a sentence for each thing that is not understood.
            repeats: one for each photo that is painted already.
            faults: a sentence for each fault of the machine.
            at_end: the runner has come to its end in order.
        """
        if time.monotonic() - self._written < LEAST_SECONDS and not at_end:
            return
        if self._seen and self._seen[0] is waiting and self._seen[1:] == (hints, repeats, faults) and not at_end:
            return
        found = {name: why for name, why in waiting.items() if not why.is_settling}
        listed = sorted(found.items())[:LISTED]
        fields: dict[str, Any] = {
            "waiting": [Waits(name=name, reason=why.reason, is_fault=why.is_fault) for name, why in listed],
            "more_waiting": len(found) - len(listed),
            "unknown": sorted(hints)[:LISTED],
            "repeated": sorted(repeats)[:LISTED],
            "faults": sorted(faults),
        }
        if at_end:
            fields |= {"ended_at": now(), "done": self._tally.done, "failed": self._tally.failed}
        new = self._first.model_copy(update=fields)
        if new != self._last:
            report.write(self._jobs, new)
            self._last = new
            self._written = time.monotonic()
        self._seen = waiting, set(hints), set(repeats), list(faults)
