"""What was measured of time on this machine: the seconds of a step by pixels, and what a picture comes to by them.

The seconds of a step for each pixel were measured at some sizes; between two of them they are interpolated, and beyond
them a step takes its pixels and some that any step takes.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from pipeline.jobs.fields import Bytes, Seconds, Text
from pipeline.jobs.work import Painting
from pipeline.manifest.parameters import Model, Parameters

NEAR = 2.0  # times the pixels, or a part: within it a size counts as measured
FAR = 16.0  # beyond it nothing is said
LEAST_STEP_SECONDS = 1e-6  # that a step is taken to last
FIXED_PIXELS = 4000  # that a step costs beside its picture's own: on 2 cores, with bfloat16 and Wasserstein
MAX_DEVICES = 20  # that are remembered: a container has another name at each start


class Kind(Model):
    """What a step costs by, beside pixels."""

    device: Text  # NVIDIA H200, or "CPU: " and the processor with its cores
    precision: Text  # float32 or bfloat16
    style_loss: Text
    optimizer: Text


class Point(Model):
    """What was measured at about one size."""

    kind: Kind
    pixels: Annotated[int, Field(strict=True, ge=1, le=10**12)]
    step_seconds: Annotated[Seconds, Field(ge=LEAST_STEP_SECONDS)]
    other_seconds: Seconds | None = None  # of a picture of this size, beside its steps
    peak_bytes: Bytes | None = None


class Device(Model):
    """What ``--device`` came to on this machine, the precision that ``auto`` is there, and how long a start takes."""

    name: Text
    precision: Text
    loading_seconds: Seconds = 0.0
    first_seconds: Seconds = 0.0  # of a process's first picture, beside its steps
    resident_bytes: Bytes = 0  # of a process that has started, before it paints


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

    def points_of(self, kind: Kind | None) -> list[tuple[int, float]]:
        """Pixels and seconds of a step, of what was measured of a kind."""
        return [(point.pixels, point.step_seconds) for point in self.points if point.kind == kind]

    def step_seconds(self, kind: Kind | None, pixels: int) -> float | None:
        """Seconds of a step at so many pixels; None where nothing near that was measured."""
        return interpolated(self.points_of(kind), pixels)

    def knows(self, kind: Kind | None, pixels: int) -> bool:
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
        if peak is not None:
            device = self.device(option)
            # An image is decoded before the picture is painted, and let go.
            peak = max(peak, (device.resident_bytes if device else 0) + painting.decoding_bytes)
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


def interpolated(points: Iterable[tuple[int, float]], pixels: int) -> float | None:
    """Seconds of a step at so many pixels, by those at others; None where these are all far off."""
    known = sorted(point for point in points if 1 / FAR <= point[0] / pixels <= FAR)
    if not known:
        return None
    below = [point for point in known if point[0] <= pixels]
    above = [point for point in known if point[0] >= pixels]
    if below and above and below[-1][0] < above[0][0]:
        (low, at_low), (high, at_high) = below[-1], above[0]
        part = math.log(pixels / low) / math.log(high / low)
        return pixels * (at_low / low + part * (at_high / high - at_low / low))
    nearest, seconds = below[-1] if below else above[0]
    return seconds * (pixels + FIXED_PIXELS) / (nearest + FIXED_PIXELS)


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


_START = ("loading_seconds", "first_seconds", "resident_bytes")


def _here(option: str) -> str:
    return f"{option}@{platform.node()}"


def _place(point: Point) -> tuple[str, int]:
    """Where a measurement belongs: two of a place are of about the same."""
    return point.kind.model_dump_json(), round(math.log2(point.pixels))
