"""How long work takes here: from what was measured on this machine, and from a running job's own pace."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from pipeline import storage
from pipeline.jobs.fields import SpoiltError, read_json
from pipeline.jobs.losses import Loss, reached
from pipeline.jobs.measured import LEAST_STEP_SECONDS, Book, Device, Estimate, interpolated
from pipeline.jobs.record import Job
from pipeline.jobs.work import Painting, paintings_of

log = logging.getLogger(__name__)

RECENT_STEPS = 20  # that a running job's pace is taken from
# What a job shows of its own pace counts half against what was measured before when it is as much as this: a moment in
# which the machine had other things to do, or a process its first step, says little of the rest.
DOUBT_SECONDS, DOUBT_STEPS = 1.0, 3
MOST_BYTES = 16 << 20  # of the book
MAX_SAMPLE = 500  # pictures of a long queue that are looked at, evenly


class Paces:
    """The book of this machine in its file, for one ``--device``.

    Args:
        file: where it is kept; None for nowhere. A damaged one is as none.
        option: ``auto``, ``cpu`` or ``gpu``.
    """

    def __init__(self, file: Path | None, option: str = "auto") -> None:
        self.option = option
        self._file = file
        self._read: tuple[float, Book] = 0.0, Book()

    @property
    def book(self) -> Book:
        """As the file has it now."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                found = storage.look(self._file)
                changed = found.st_mtime if found else 0.0
                if changed != self._read[0]:
                    self._read = changed, _load(self._file)
        return self._read[1]

    @property
    def device(self) -> Device | None:
        """What paints here, and how long it takes to start; None before anything was painted."""
        return self.book.device(self.option)

    def learn(self, change: Callable[[Book], Book]) -> None:
        """Keep what was found out; where that cannot be, it is only not known the next time."""
        if self._file is None:
            return
        with contextlib.suppress(OSError, Timeout, NotImplementedError):  # the last: a file system without locks
            os.makedirs(self._file.parent, exist_ok=True)  # the user's own cache
            with FileLock(f"{self._file}.lock", timeout=1):
                found = change(_load(self._file, aside=True)).model_dump(mode="json")
                with contextlib.suppress(ValidationError):  # what cannot be is not kept
                    Book.model_validate(found)
                    storage.write_json(self._file, found)

    def estimate(self, work: Sequence[Painting], workers: int = 1, is_warm: bool = False) -> Estimate | None:
        """What all of it takes, the start of the processes included; None where part of it is not known.

        Args:
            work: the pictures.
            workers: that paint at once.
            is_warm: whether they have started already.
        """
        book = self.book
        sample = work[:: 1 + len(work) // MAX_SAMPLE]
        found = [book.painting(painting, self.option) for painting in sample]
        known = [one for one in found if one is not None]
        if not known or len(known) < len(found):
            return None
        device = book.device(self.option)
        start = 0.0 if is_warm or device is None else device.loading_seconds + device.first_seconds
        peaks = [one.peak_bytes for one in known]
        peak = max(peak or 0 for peak in peaks) if all(peaks) else None
        seconds = sum(one.seconds for one in known) * len(work) / len(sample)
        return Estimate(start + seconds / min(workers, len(work)), peak, known[0].device)

    def seconds(self, jobs: Iterable[Job], workers: int = 1) -> float | None:
        """Seconds that queued jobs take once a process is warm; 0 of none, None where part of it is not known."""
        work = [painting for job in jobs for painting in paintings_of(job)]
        found = self.estimate(work, workers, is_warm=True)
        if found is None:
            return None if work else 0.0
        return found.seconds

    def left(
        self, job: Job, seen: Sequence[Loss], done: Mapping[int, int] | None = None, at_once: int = 1
    ) -> float | None:
        """Seconds until the last step of a running job; None where it cannot be told yet.

        Args:
            job: its record.
            seen: the end of its loss log, or of each of its pictures (``losses.Tail``).
            done: the last step of each picture, where that cannot be told from what is seen.
            at_once: how many of its pictures are painted at a time.
        """
        return left(paintings_of(job), seen, self.book, self.option, done, at_once)


def left(
    work: Sequence[Painting],
    seen: Sequence[Loss],
    book: Book,
    option: str,
    done: Mapping[int, int] | None = None,
    at_once: int = 1,
) -> float | None:
    """As ``Paces.left``: by the job's own steps, and by those measured here before, at this job's pace."""
    done = reached(seen) if done is None else done
    made_at = _step_seconds(seen)
    own = step_times(seen)
    own_kind, measured, pace = None, [], 1.0
    if seen and seen[-1].picture <= len(work):
        latest = work[seen[-1].picture - 1]
        own_kind = book.kind(latest.parameters, option)
        shown = evidence = 0.0
        for side, pixels, _ in latest.stretches():
            like = book.step_seconds(own_kind, pixels) if book.knows(own_kind, pixels) else None
            if side in own and like is None:
                measured.append((pixels, own[side]))
            elif side in own and like:
                shown += like * len(made_at[side])
                evidence += like * len(made_at[side]) * math.log(own[side] / like)
        pace = math.exp(evidence / (shown + DOUBT_SECONDS))
    lefts = []
    for number, painting in enumerate(work, 1):
        kind, made = book.kind(painting.parameters, option), done.get(number, 0)
        points = [(pixels, seconds * pace) for pixels, seconds in book.points_of(kind)]
        points += measured if kind == own_kind else []
        begin, of_picture = 0, 0.0
        for side, pixels, steps in painting.stretches():
            end = begin + steps
            if made < end:
                seconds = _believed(own.get(side), len(made_at.get(side, ())), interpolated(points, pixels))
                if seconds is None:
                    return None
                of_picture += seconds * (end - made if begin < made else steps + 1)
            begin = end
        lefts.append(of_picture)
    return max(sum(lefts) / at_once, *lefts) if lefts else 0.0


def step_times(seen: Sequence[Loss]) -> dict[int, float]:
    """The median seconds of a step at each scale, by its long side, of the last steps made there."""
    found = _step_seconds(seen)
    return {side: statistics.median(times[-RECENT_STEPS:]) for side, times in found.items() if len(times) >= 2}


def _step_seconds(seen: Sequence[Loss]) -> dict[int, list[float]]:
    """What each step took, by its long side; the first of a scale is not known."""
    times: dict[int, list[float]] = {}
    latest: dict[int, Loss] = {}
    for loss in seen:
        before = latest.get(loss.picture)
        latest[loss.picture] = loss
        if before and before.scale == loss.scale and loss.step == before.step + 1 and loss.seconds > before.seconds:
            times.setdefault(loss.scale, []).append(max(LEAST_STEP_SECONDS, loss.seconds - before.seconds))
    return times


def _believed(own: float | None, count: int, foretold: float | None) -> float | None:
    """Seconds of a step: the job's own, the more the more of them there are, and what was foretold."""
    if own is None or foretold is None:
        return own or foretold
    return foretold * (own / foretold) ** (count / (count + DOUBT_STEPS)) if count > 2 else foretold


def spoken(seconds: float) -> str:
    """A duration in words, as exactly as it is known: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds)) if seconds < 20 else round(seconds / 5) * 5} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(round(minutes / 5) * 5, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def told(count: int, found: Estimate | None) -> str:
    """How much work there is: ``30 pictures, about 55 min on this CPU, 1.1 GB``."""
    pictures = "1 picture" if count == 1 else f"{count:,} pictures"
    if found is None:
        return f"{pictures}; how long that takes is not measured yet on this machine"
    memory = f", {found.peak_bytes / 1e9:.1f} GB" if found.peak_bytes else ""
    return f"{pictures}, about {spoken(found.seconds)} on this {found.device}{memory}"


def cache_file() -> Path:
    """Where the book of this machine is kept."""
    import platformdirs

    return storage.real(platformdirs.user_cache_path("stylistic")) / "pace.json"


def _load(file: Path, aside: bool = False) -> Book:
    """The book in a file; an empty one where there is none, or a spoilt one, which is put aside on demand."""
    try:
        return read_json(Book, storage.read(file, MOST_BYTES))
    except SpoiltError as error:
        if aside:
            storage.move(file, file.with_suffix(".spoilt"))
            log.warning("%s: what was measured here is spoilt (%s); it is put aside, and measured anew", file, error)
    except OSError:
        pass
    return Book()
