"""A job's loss log, ``loss.jsonl``: a line for every step, cut to the checkpoint on resume, followed while it grows."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from pydantic import Field, ValidationError

from pipeline import storage
from pipeline.jobs import variants
from pipeline.jobs.fields import LossValue, Number, Seconds, Side
from pipeline.manifest.fields import Model

FILE = "loss.jsonl"
MOST_BYTES = 256 << 20  # of a log of a million steps
MOST_ADDED_BYTES = 16 << 20  # since the last look, or the first of it
_END_BYTES = 8192  # some forty lines


class Loss(Model):
    """The losses before a step's update, the long side in pixels that it ran at, and when the step was through."""

    step: Number
    scale: Side
    total: LossValue
    content: LossValue
    style: LossValue
    total_variation: LossValue
    seconds: Seconds = 0.0  # of optimizing up to here, over all attempts
    frame: Number = 1  # of a clip, that it is of
    picture: int = Field(default=1, exclude=True)  # of the job's, from 1: a sweep has several, each with its own log


class Losses(Model):
    """The losses of a job as columns, so that they are a table as they stand."""

    step: list[Number]
    scale: list[Side]
    total: list[LossValue]
    content: list[LossValue]
    style: list[LossValue]
    total_variation: list[LossValue]

    @classmethod
    def of(cls, losses: Iterable[Loss]) -> Losses:
        """The columns of these rows."""
        rows = list(losses)
        return cls(**{column: [getattr(row, column) for row in rows] for column in cls.model_fields})


class LossLog:
    """A loss log open for writing."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, loss: Loss) -> None:
        """Add a line; whoever follows the log sees it at once."""
        self._file.write(loss.model_dump_json().encode("ascii") + b"\n")
        self._file.flush()

    def sync(self) -> None:
        """Make what has been written durable."""
        os.fsync(self._file.fileno())


@contextlib.contextmanager
def opened(folder: Path, keep: int) -> Iterator[LossLog]:
    """The loss log of the job in ``folder`` for more lines, after the first ``keep`` of those that are there."""
    kept = read(folder)[:keep]
    lines = b"".join(loss.model_dump_json().encode("ascii") + b"\n" for loss in kept)
    with storage.opened_for_lines(folder / FILE, lines) as file:
        log = LossLog(file)
        yield log
        log.sync()


def read(folder: Path) -> list[Loss]:
    """The lines of a job's loss log, step after step, up to the first that is not whole: a machine that lost its power
    may leave one."""
    try:
        whole = list(_parsed(storage.read(folder / FILE, MOST_BYTES)))
    except OSError as error:
        if storage.is_of_entry(error):
            return []
        raise
    torn = (at for at, loss in enumerate(whole) if loss.step != at + 1)
    return whole[: next(torn, None)]


def recent(folder: Path) -> list[Loss]:
    """The last whole lines of a job's loss log, a sweep's of each of its pictures; none before the first."""
    return [loss for picture, path in _logs(folder) for loss in _parsed(_end(path), picture)]


def since_newest(folder: Path) -> float:
    """Seconds since the last line was written, by the clocks of whoever wrote it and of this machine; 0 before it."""
    with contextlib.suppress(OSError):
        written = [found.st_mtime for _, path in _logs(folder) if (found := storage.look(path))]
        return max(0.0, time.time() - max(written, default=math.inf))
    return 0.0


def reached(seen: Iterable[Loss]) -> dict[int, int]:
    """The last step of each picture that is in a log."""
    return {loss.picture: loss.step for loss in seen}


def frame_reached(seen: Iterable[Loss]) -> int:
    """How many frames of a clip have been begun; 0 before the first."""
    return sum({loss.picture: loss.frame for loss in seen}.values())


class Tail:
    """Reads what has been added to a job's loss log since the last look; of a sweep, to those of its pictures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[int, int]] = {}  # of each log its inode and how far it has been read

    def read(self) -> list[Loss]:
        """The new whole lines; from the start where a log has been cut."""
        return [loss for picture, path in _logs(self._folder) for loss in _parsed(self._added(path), picture)]

    def _added(self, path: Path) -> bytes:
        try:
            with storage.open_file(path) as file:
                inode = os.fstat(file.fileno()).st_ino
                known, offset = self._read.get(path, (inode, 0))
                file.seek(offset if known == inode else 0)
                start = file.tell()
                data = file.read(MOST_ADDED_BYTES)
        except OSError:
            return b""
        whole = data[: data.rfind(b"\n") + 1]
        self._read[path] = inode, start + len(whole)
        return whole


def _logs(folder: Path) -> Iterator[tuple[int, Path]]:
    """The logs in a job's folder, each with the number of its picture."""
    yield 1, folder / FILE
    for place in variants.places(folder):
        yield int(place.name), place / FILE


def _end(path: Path) -> bytes:
    """The last lines of a log, from the beginning of one."""
    try:
        with storage.open_file(path) as file:
            start = max(0, file.seek(0, os.SEEK_END) - _END_BYTES)
            file.seek(start)
            data = file.read(_END_BYTES)
    except OSError:
        return b""
    return data[data.find(b"\n") + 1 :] if start else data


def _parsed(lines: bytes, picture: int = 1) -> Iterator[Loss]:
    for line in lines.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        try:
            yield Loss.model_validate_json(line).model_copy(update={"picture": picture})
        except ValidationError:
            return
