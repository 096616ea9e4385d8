"""What the worker finds out about time, for the book of this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.jobs.losses import Loss
from pipeline.jobs.measured import LEAST_STEP_SECONDS, Book, Device, Kind, Point, kind_of, machine
from pipeline.jobs.pace import Paces, step_times
from pipeline.jobs.result import Done
from pipeline.jobs.work import Painting
from pipeline.manifest.parameters import Parameters
from pipeline.worker import memory
from pipeline.worker.session import Options, Session

if TYPE_CHECKING:
    from pipeline.engine.targets import Style

_has_painted = False  # this process; its first picture waits for graphs and kernels


def note_start(options: Options, session: Session, seconds: float) -> None:
    """Note how long a process took to load TensorFlow and the weights.

    Args:
        options: the runner's.
        session: of precision ``auto``.
        seconds: that it took.
    """
    name, loaded = machine(session.device), memory.resident()
    device = Device(name=name, precision=session.precision, loading_seconds=seconds, resident_bytes=loaded)
    Paces(options.paces).learn(lambda book: book.starting(options.device, device))


def measure_if_new(
    options: Options, session: Session, content: Any, styles: Sequence[Style], parameters: Parameters
) -> None:
    """Before a picture of a size of which nothing is known here, make two steps at it, and throw them away.

    Args:
        options: the runner's.
        session: that paints.
        content: RGB ``[H, W, 3]`` in [0, 1], at the size of the result.
        styles: as for ``Stylizer.run``.
        parameters: settled ones.
    """
    height, width = content.shape[:2]
    kind = _kind(session, parameters)
    if options.paces is None or Paces(options.paces).book.knows(kind, height * width):
        return
    # The first of the two is slow: it traces the graph, which is the one that the picture needs.
    trial = parameters.model_copy(update={"pyramid": "off", "epochs": 1, "steps_per_epoch": 2})
    steps = session.stylizer.run(content, styles, trial)
    next(steps)
    begun = time.perf_counter()
    next(steps)
    seconds = time.perf_counter() - begun
    point = Point(kind=kind, pixels=height * width, step_seconds=max(seconds, LEAST_STEP_SECONDS))
    Paces(options.paces).learn(lambda book: book.noting([point]))


def note(
    options: Options,
    session: Session,
    parameters: Parameters,
    shape: Sequence[int],
    seen: Sequence[Loss],
    done: Done,
    peak_bytes: int,
) -> None:
    """Note what a finished picture took.

    Args:
        options: the runner's.
        session: that painted it.
        parameters: settled ones.
        shape: of the picture, ``[H, W, …]``.
        seen: its losses.
        done: its result.
        peak_bytes: what it took once its images were decoded.
    """
    global _has_painted
    height, width = shape[:2]
    kind, times = _kind(session, parameters), step_times(seen)
    found = [s for s in Painting(parameters, width, height).stretches() if s.side in times]
    points = [Point(kind=kind, pixels=s.pixels, step_seconds=times[s.side]) for s in found]
    in_steps = sum(times[s.side] * (s.steps + 1) for s in found)
    other = done.timing.setup_seconds + max(0.0, done.timing.optimize_seconds - in_steps)
    if points and found[-1].pixels == height * width:
        facts = {"peak_bytes": peak_bytes, "other_seconds": other if _has_painted else None}
        points[-1] = points[-1].model_copy(update=facts)
    is_first, _has_painted = not _has_painted, True
    device = Device(name=kind.device, precision=session.precision, first_seconds=other)

    def change(book: Book) -> Book:
        known = book.device(options.device)
        if is_first and known and known.name == device.name:
            book = book.starting(options.device, device.model_copy(update={"precision": known.precision}))
        return book.noting(points)

    Paces(options.paces).learn(change)


def _kind(session: Session, parameters: Parameters) -> Kind:
    return kind_of(machine(session.device), session.precision, parameters)
