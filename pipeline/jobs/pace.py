"""How long painting takes here: step times that were measured on this machine, and what work comes to by them.

What costs time is pixels: a picture is so many steps at so many pixels, scale by scale (``manifest.schedule``). The
seconds of a step for each pixel were measured at some sizes; between two of them they are interpolated.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import math
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from pipeline import storage
from pipeline.jobs.losses import Loss
from pipeline.jobs.record import Job
from pipeline.manifest.model import Manifest
from pipeline.manifest.parameters import Model, Parameters
from pipeline.manifest.schedule import schedule

log = logging.getLogger(__name__)

NEAR = 2.0  # times the pixels, or a part: within it a size counts as measured
FAR = 16.0  # beyond it nothing is said
RECENT_STEPS = 50  # that a running job's pace is taken from
MAX_SAMPLE = 500  # pictures of a long queue that are looked at, evenly
MAX_DEVICES = 20  # that are remembered: a container has another name at each start
# Where nothing is measured: pixels that a step costs beside the picture's own. On 2 cores, bfloat16 and Wasserstein.
FIXED_PIXELS = 4000


class Stretch(NamedTuple):
    """The steps at one scale: its long side, and its pixels in all."""

    side: int
    pixels: int
    steps: int


@dataclass(frozen=True)
class Painting:
    """A picture to be painted: how, the photo's width and height in pixels, and the steps that are made already."""

    parameters: Parameters
    width: int
    height: int
    done: int = 0

    def stretches(self) -> list[Stretch]:
        """What is run, coarse to fine."""
        ratio = self.parameters.image_size / max(self.width, self.height)
        width, height = (max(1, round(length * ratio)) for length in (self.width, self.height))
        return [
            Stretch(side, max(1, round(width * height * (side / max(width, height)) ** 2)), steps)
            for side, steps in schedule(self.parameters, height, width)
        ]

    @property
    def pixels(self) -> int:
        """Of the finished picture."""
        return self.stretches()[-1].pixels


def paintings(manifest: Manifest, sizes: Mapping[str, tuple[int, int]]) -> list[Painting]:
    """The pictures that a manifest asks for, one for each variant of a sweep.

    Args:
        manifest: the effective one.
        sizes: width and height of each image, by its path as the manifest writes it.
    """
    runs = manifest.variants() if manifest.sweep else [manifest]
    return [Painting(run.parameters, *sizes[run.content]) for run in runs if run.content in sizes]


def paintings_of(job: Job, done: int = 0) -> list[Painting]:
    """The pictures that a job asks for, of which so many steps are made; none of one that never ran, or never can."""
    if job.manifest is None:
        return []
    sizes = {image.file: (image.width, image.height) for image in job.images.values() if image.width and image.height}
    found: list[Painting] = []
    with contextlib.suppress(ValidationError):
        for painting in paintings(job.manifest, sizes):
            found.append(dataclasses.replace(painting, done=min(done, painting.parameters.steps)))
            done -= found[-1].done
    return found


class Kind(Model):
    """What a step costs by, beside pixels."""

    device: str  # NVIDIA H200, or "CPU: " and the processor with its cores
    precision: str  # float32 or bfloat16
    style_loss: str
    optimizer: str


class Point(Model):
    """What was measured at about one size."""

    kind: Kind
    pixels: int = Field(gt=0)
    step_seconds: float = Field(gt=0, allow_inf_nan=False)
    other_seconds: float | None = Field(None, ge=0, allow_inf_nan=False)  # of a picture of this size, beside its steps
    peak_bytes: int | None = Field(None, ge=0)


class Device(Model):
    """What ``--device`` came to on this machine, the precision that ``auto`` is there, and how long a start takes."""

    name: str
    precision: str
    loading_seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    first_seconds: float = Field(0.0, ge=0, allow_inf_nan=False)  # of a process's first picture, beside its steps


@dataclass(frozen=True)
class Estimate:
    """About how long work takes, and the memory that it needs where that was measured."""

    seconds: float
    peak_bytes: int | None
    device: str  # as a person calls it


class Book(Model):
    """All that was measured."""

    devices: dict[str, Device] = Field(default_factory=dict)  # by `--device` and host
    points: list[Point] = Field(default_factory=list)

    def device(self, option: str) -> Device | None:
        """What ``auto``, ``cpu`` or ``gpu`` came to the last time."""
        return self.devices.get(_here(option))

    def kind(self, parameters: Parameters, option: str) -> Kind | None:
        """What a step of these parameters costs by; None before anything was painted."""
        device = self.device(option)
        if device is None:
            return None
        precision = device.precision if parameters.precision == "auto" else parameters.precision
        return kind_of(device.name, precision, parameters)

    def step_seconds(self, kind: Kind | None, pixels: int) -> float | None:
        """Seconds of a step at so many pixels; None where nothing near that was measured."""
        points = sorted((p.pixels, p.step_seconds / p.pixels) for p in self.points if p.kind == kind)
        points = [point for point in points if 1 / FAR <= point[0] / pixels <= FAR]
        below = [point for point in points if point[0] <= pixels]
        above = [point for point in points if point[0] >= pixels]
        if not points:
            return None
        if not below or not above or below[-1] == above[0]:
            return pixels * (below[-1] if below else above[0])[1]
        (low, at_low), (high, at_high) = below[-1], above[0]
        part = math.log(pixels / low) / math.log(high / low)
        return pixels * (at_low + part * (at_high - at_low))

    def knows(self, kind: Kind, pixels: int) -> bool:
        """Whether about this size was measured."""
        return any(p.kind == kind and 1 / NEAR <= p.pixels / pixels <= NEAR for p in self.points)

    def painting(self, painting: Painting, option: str) -> Estimate | None:
        """What a picture takes in a process that has painted before; None where it is not known."""
        kind = self.kind(painting.parameters, option)
        if kind is None:
            return None
        total, done = 0.0, painting.done
        for _, pixels, steps in painting.stretches():
            seconds = self.step_seconds(kind, pixels)
            if seconds is None:
                return None
            total += seconds * (max(0, steps - done) + (done < steps))  # the statistics of a scale take about a step
            done = max(0, done - steps)
        like = [p for p in self.points if p.kind == kind and 1 / FAR <= p.pixels / painting.pixels <= FAR]
        like.sort(key=lambda point: abs(math.log(point.pixels / painting.pixels)))
        total += next((p.other_seconds for p in like if p.other_seconds is not None), 0.0)
        near = (p for p in like if 1 / NEAR <= p.pixels / painting.pixels <= NEAR)
        peak = next((p.peak_bytes for p in near if p.peak_bytes is not None), None)
        return Estimate(total, peak, spoken_device(kind.device))

    def noting(self, found: Iterable[Point]) -> Book:
        """With new measurements, each of which counts half where there was one of its kind and size."""
        points = {_place(point): point for point in self.points}
        for new in found:
            old = points.get(_place(new))
            if old is not None:
                weighed = {"step_seconds": (new.step_seconds + old.step_seconds) / 2, "pixels": new.pixels}
                kept = {field: getattr(old, field) for field in ("other_seconds", "peak_bytes")}
                weighed |= {field: value for field, value in kept.items() if getattr(new, field) is None}
                weighed["step_seconds"] *= new.pixels * 2 / (new.pixels + old.pixels)
                new = new.model_copy(update=weighed)
            points[_place(new)] = new
        return self.model_copy(update={"points": list(points.values())})

    def starting(self, option: str, device: Device) -> Book:
        """With how a process started; what is zero is as it was."""
        known = self.device(option)
        if known and known.name == device.name:
            kept = {field: getattr(device, field) or getattr(known, field) for field in _START}
            device = device.model_copy(update=kept)
        devices = {key: found for key, found in self.devices.items() if key != _here(option)}
        return self.model_copy(
            update={"devices": dict([*list(devices.items())[1 - MAX_DEVICES :], (_here(option), device)])}
        )


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
                changed = self._file.stat().st_mtime
                if changed != self._read[0]:
                    self._read = changed, _load(self._file)
        return self._read[1]

    def learn(self, change: Callable[[Book], Book]) -> None:
        """Keep what was found out; where that cannot be, it is only not known the next time."""
        if self._file is None:
            return
        with contextlib.suppress(OSError, Timeout):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._file}.lock", timeout=1):
                storage.write_json(self._file, change(_load(self._file)).model_dump(mode="json"))

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

    def left(self, job: Job, seen: Sequence[Loss]) -> float | None:
        """Seconds until the last step of a running job; None where it cannot be told yet.

        Args:
            job: its record.
            seen: its loss log, a sweep's with its steps counted through all variants (``losses.Tail``).
        """
        return left(paintings_of(job), seen, self.book, self.option)


def left(work: Sequence[Painting], seen: Sequence[Loss], book: Book, option: str) -> float | None:
    """As ``Paces.left``: what was measured here, at the pace of this very job where it has one."""
    own = step_times(seen)
    done = seen[-1].step if seen else 0
    now = own.get(seen[-1].scale) if seen else None
    total, begin, here = 0.0, 0, None
    for painting in work:
        kind = book.kind(painting.parameters, option)
        for side, pixels, steps in painting.stretches():
            end = begin + steps
            if begin < done <= end:
                here = kind, pixels
            if done < end:
                seconds = own.get(side) or _expected(book, kind, pixels, here, now)
                if seconds is None:
                    return None
                total += seconds * (end - done if begin < done else steps + 1)
            begin = end
    return total


def step_times(seen: Sequence[Loss]) -> dict[int, float]:
    """The median seconds of a step at each scale, by its long side, of the last steps made there."""
    times: dict[int, list[float]] = {}
    for before, loss in itertools.pairwise(seen):
        took = loss.seconds - before.seconds
        if before.scale == loss.scale and loss.step == before.step + 1 and took > 0:
            times.setdefault(loss.scale, []).append(took)
    return {side: statistics.median(found[-RECENT_STEPS:]) for side, found in times.items() if len(found) >= 2}


def kind_of(device: str, precision: str, parameters: Parameters) -> Kind:
    """What a step costs by."""
    return Kind(device=device, precision=precision, style_loss=parameters.style_loss, optimizer=parameters.optimizer)


def machine(device: str) -> str:
    """A device's name for ``Kind``: of the processor also which it is, and how many cores may be used."""
    if device != "CPU":
        return device
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration), open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"CPU: {model}, {cores} cores"


def spoken_device(name: str) -> str:
    """A device of ``machine`` as a person calls it."""
    return name.partition(":")[0]


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

    return platformdirs.user_cache_path("stylistic") / "pace.json"


_START = ("loading_seconds", "first_seconds")


def _here(option: str) -> str:
    return f"{option}@{platform.node()}"


def _place(point: Point) -> tuple[str, int]:
    """Where a measurement belongs: two of a place are of about the same."""
    return point.kind.model_dump_json(), round(math.log2(point.pixels))


def _expected(
    book: Book, kind: Kind | None, pixels: int, here: tuple[Kind | None, int] | None, now: float | None
) -> float | None:
    """Seconds of a step at a scale to come: as measured, times what the job is slower or faster than that now."""
    known = book.step_seconds(kind, pixels)
    if now is None or here is None:
        return known
    like_here = book.step_seconds(*here)
    if known is not None and like_here is not None:
        return known * now / like_here
    return now * (pixels + FIXED_PIXELS) / (here[1] + FIXED_PIXELS)


def _load(file: Path) -> Book:
    try:
        return Book.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return Book()
