"""What pictures took here, kept in a file, and what that comes to for work that is ahead or under way."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline import storage
from pipeline.errors import JobError
from pipeline.forecast.memory import MUCH, bytes_at_once, bytes_of, require_room
from pipeline.forecast.work import Painting, paintings_left
from pipeline.jobs.fields import Seconds, SpoiltError, Text, read_json
from pipeline.jobs.losses import Loss, frame_reached
from pipeline.jobs.record import Job
from pipeline.manifest.fields import Model
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.schedule import is_large

FIXED_PIXELS = 4000  # that a step costs beside its picture's own: from 128 to 1024 px on 2 cores, within a tenth
RECENT_STEPS = 20  # that a running job's pace is taken from
# Steps at the pace that was measured before, which a job's own are taken together with: a moment in which the machine
# had other things to do, or a process its first step, says little of the rest.
EARLIER_STEPS = 3
MOST_BYTES = 1 << 20  # of the file


class Pace(Model):
    """What pictures of a kind take."""

    # Seconds of a step for each pixel, and for the fixed ones, by the power of two that is next to its pixels.
    rates: Annotated[dict[Annotated[int, Field(ge=0, le=50)], Annotated[Seconds, Field(gt=0)]], Field(min_length=1)]
    other_seconds: Seconds = 0.0  # of a picture, beside its steps


class Device(Model):
    """What ``--device`` came to the last time, and how long a new process takes there until it paints."""

    name: Text  # CPU, or NVIDIA H200
    precision: Literal["float32", "bfloat16"] | None = None  # that `auto` came to there
    start_seconds: Seconds = 0.0


class Measured(Model):
    """All that is known."""

    devices: dict[str, Device] = Field(default_factory=dict)  # by `--device`
    paces: dict[str, Pace] = Field(default_factory=dict)  # by kind

    def pace(self, option: str, painting: Painting) -> Pace | None:
        """That of such pictures on what ``--device`` came to; None before one of them was painted there."""
        device = self.devices.get(option)
        if device is None:
            return None
        whole, in_strips = (_kind(device.name, painting.parameters, is_in_strips) for is_in_strips in (False, True))
        own, other = (in_strips, whole) if _is_in_strips(painting, device.precision) else (whole, in_strips)
        return self.paces.get(own) or self.paces.get(other)


@dataclass(frozen=True)
class Estimate:
    """About how long work takes, and on what."""

    seconds: float
    device: str
    is_reckoned: bool  # from another size than was painted here


class Paces:
    """What is known of this machine, in its file, for one ``--device``.

    Args:
        file: where it is kept; None for nowhere. A damaged one is as none.
        option: ``auto``, ``cpu`` or ``gpu``.
    """

    def __init__(self, file: Path | None, option: str = "auto") -> None:
        self._file = file
        self._option = option
        self._read: tuple[float, Measured] = 0.0, Measured()

    @property
    def measured(self) -> Measured:
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
        """What paints here; None before anything was painted."""
        return self.measured.devices.get(self._option)

    def note(
        self, device: str, precision: str, painting: Painting, seen: Sequence[Loss], seconds: float, is_first: bool
    ) -> None:
        """Keep what a finished picture took; where that cannot be, it is only not known the next time.

        Args:
            device: that painted it.
            precision: in which.
            painting: as it was when this process began with it.
            seen: its losses.
            seconds: that it took in all; of the first of a process since its job was started.
            is_first: whether it is that.
        """
        if self._file is None:
            return
        known, kind = _load(self._file), _kind(device, painting.parameters, _is_in_strips(painting, precision))
        new = _rates((painting.pixels(loss.scale), each) for loss, each in _steps(seen))
        if not new:
            return
        other = max(0.0, seconds - sum(_step_seconds(new, pixels) * steps for pixels, steps in painting.ahead()))
        pace = known.paces.get(kind, Pace(rates=new))
        # What is new counts half.
        rates = pace.rates | {size: (pace.rates.get(size, rate) + rate) / 2 for size, rate in new.items()}
        before = known.devices.get(self._option, Device(name=device))
        start = other if is_first else before.start_seconds
        best = precision if painting.parameters.precision == "auto" else before.precision
        devices = {self._option: Device(name=device, precision=best, start_seconds=start)}
        is_of_other = is_first or painting.further_steps > 0  # a clip's is of all its frames
        pace = Pace(rates=rates, other_seconds=pace.other_seconds if is_of_other else other)
        found = Measured(devices=known.devices | devices, paces=known.paces | {kind: pace})
        with contextlib.suppress(OSError):
            os.makedirs(self._file.parent, exist_ok=True)  # the user's own cache
            storage.write_json(self._file, found.model_dump(mode="json"))

    def estimate(self, work: Sequence[Painting], workers: int = 1, is_warm: bool = False) -> Estimate | None:
        """What all of it takes, the start of the processes included; None where nothing like a part of it was painted.

        Args:
            work: the pictures.
            workers: that paint at once.
            is_warm: whether they have started already.
        """
        known, seconds, is_reckoned = self.measured, 0.0, False
        device = known.devices.get(self._option)
        if device is None or not work:
            return None
        for painting in work:
            pace = known.pace(self._option, painting)
            if pace is None:
                return None
            ahead = list(painting.ahead())
            seconds += pace.other_seconds + sum(_step_seconds(pace.rates, pixels) * steps for pixels, steps in ahead)
            is_reckoned |= any(_size(pixels) not in pace.rates for pixels, _ in ahead)
        start = 0.0 if is_warm else device.start_seconds
        return Estimate(start + seconds / min(workers, len(work)), device.name, is_reckoned)

    def much_memory(self, work: Iterable[Painting]) -> int | None:
        """The most bytes that one of these pictures takes, where that is much, and known on what they are painted."""
        best = self.device and self.device.precision
        asked = ((painting, painting.parameters.precision) for painting in work)
        found = [bytes_of(one, best if precision == "auto" else precision) for one, precision in asked if best]
        most = max(found, default=0)
        return most if most >= MUCH else None

    def too_large(self, work: Sequence[Painting], memory: int | None) -> str:
        """Why these bytes of memory, all that the machine has, can hold none of the pictures; else nothing."""
        if memory is None:
            return ""
        best = (self.device and self.device.precision) or "bfloat16"  # which takes less
        precisions = [best if asked == "auto" else asked for asked in (one.parameters.precision for one in work)]
        if min(map(bytes_at_once, work, precisions), default=0) <= memory:
            return ""
        try:
            require_room(work[0], precisions[0], memory, f"this machine has {memory / 1e9:.1f} GB")
        except JobError as error:
            return str(error)
        return ""

    def left(self, job: Job, seen: Sequence[Loss] = (), at_once: int = 1, since_newest: float = 0.0) -> float | None:
        """Seconds until the last step of a job in a process that has started; None where it cannot be told yet.

        Args:
            job: its record.
            seen: the end of its loss log, or of each of its pictures (``losses.recent``).
            at_once: how many of its pictures are painted at a time.
            since_newest: seconds since the newest of these losses, for which the next step has been under way.
        """
        work = paintings_left(job, seen)
        steps = list(_steps(seen))
        if job.frames > 1:  # several may paint parts of it
            steps = [(loss.model_copy(update={"picture": 1}), each) for loss, each in steps]
        made = [(work[loss.picture - 1], loss.scale, each) for loss, each in steps if loss.picture <= len(work)]
        taken = [(painting.pixels(scale), each) for painting, scale, each in made]
        own = _rates(taken, EARLIER_STEPS) or _rates(taken)
        known = self.measured
        if not own and not all(known.pace(self._option, painting) for painting in work):
            return None

        def expected(painting: Painting, pixels: int) -> float:
            pace = known.pace(self._option, painting)
            return _step_seconds(own | pace.rates if pace else own, pixels)

        recent = made[-RECENT_STEPS:]
        ratios = [each / expected(painting, painting.pixels(scale)) for painting, scale, each in recent]
        slower = statistics.median([1.0] * EARLIER_STEPS + ratios)
        lefts = []
        for painting in work:
            ahead = [(slower * expected(painting, pixels), steps) for pixels, steps in painting.ahead()]
            under_way = min(since_newest, ahead[0][0]) if ahead and painting.done else 0.0
            lefts.append(sum(each * steps for each, steps in ahead) - under_way)
        if job.frames > 1 and lefts:
            return (lefts[0] + _between(seen) * max(0, job.frames - frame_reached(seen))) / at_once
        return max(sum(lefts) / at_once, *lefts) if lefts else 0.0


def cache_file() -> Path:
    """Where it is kept on this machine."""
    import platformdirs

    return storage.real(platformdirs.user_cache_path("stylistic")) / "pace.json"


def _kind(device: str, parameters: Parameters, is_in_strips: bool) -> str:
    """What a step costs by, beside pixels."""
    in_strips = ["in strips"] if is_in_strips else []
    return ", ".join((device, parameters.precision, parameters.style_loss, parameters.optimizer, *in_strips))


def _is_in_strips(painting: Painting, best: str | None) -> bool:
    """Whether a picture is, its coarser scales among it, where ``best`` is what the precision `auto` comes to."""
    asked = painting.parameters.precision
    return is_large(*painting.size, (best or "bfloat16") if asked == "auto" else asked)


def _steps(seen: Iterable[Loss]) -> Iterator[tuple[Loss, float]]:
    """The steps, and what each took, as far as it is known: that of the first of a scale or of a frame is not."""
    latest: dict[int, Loss] = {}
    for loss in seen:
        before = latest.get(loss.picture)
        latest[loss.picture] = loss
        is_next = before and (loss.scale, loss.frame, loss.step - 1) == (before.scale, before.frame, before.step)
        if before and is_next and loss.seconds > before.seconds:
            yield loss, loss.seconds - before.seconds


def _between(seen: Sequence[Loss]) -> float:
    """Seconds from one frame of a clip to the next, beside its steps: reading it, flow, faces, keeping it."""
    pairs = [(one, other) for one, other in itertools.pairwise(seen) if one.picture == other.picture]
    steps = [each for _, each in _steps(seen)]
    found = [other.seconds - one.seconds for one, other in pairs if other.frame == one.frame + 1]
    return max(0.0, statistics.median(found) - statistics.median(steps)) if found and steps else 0.0


def _rates(steps: Iterable[tuple[int, float]], least: int = 1) -> dict[int, float]:
    """As a ``Pace`` has them, from pixels and seconds of some steps; of sizes with ``least`` steps."""
    found: dict[int, list[float]] = {}
    for pixels, seconds in steps:
        found.setdefault(_size(pixels), []).append(seconds / (pixels + FIXED_PIXELS))
    return {size: statistics.median(rates) for size, rates in found.items() if len(rates) >= least}


def _step_seconds(rates: Mapping[int, float], pixels: int) -> float:
    """Of a step at so many pixels, by the nearest size that is known."""
    return rates[min(rates, key=lambda size: abs(size - _size(pixels)))] * (pixels + FIXED_PIXELS)


def _size(pixels: int) -> int:
    return round(math.log2(pixels))


def _load(file: Path) -> Measured:
    try:
        return read_json(Measured, storage.read(file, MOST_BYTES))
    except (OSError, SpoiltError):
        return Measured()
