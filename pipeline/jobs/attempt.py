"""An attempt at a job: ``attempt-<n>/`` in the job's folder, where the one worker that has begun it writes.

Each variant of a sweep has a worker of its own, or in its turn, which writes into that variant's folder there.

The record says which attempt counts, and nobody reads another: one that was thought dead may go on and harms nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from pipeline import storage
from pipeline.jobs import checkpoint, frames, losses, parts, previews, result, snapshots, variants
from pipeline.jobs.fields import Moment, ProcessId, SpoiltError, Text, read_json
from pipeline.jobs.lock import LeaseWatch
from pipeline.jobs.losses import Loss
from pipeline.jobs.record import VARIANTS, Job, RecordError, now
from pipeline.manifest.fields import Model

WORKER = "worker.json"
LOOK_SECONDS = 1.0  # between looks at the record
MOST_BYTES = 1 << 16  # of what tells who is at it


class Worker(Model):
    """Who is at an attempt, and since when (UTC, ISO 8601)."""

    host: Text = Field(default_factory=socket.gethostname)
    pid: ProcessId = Field(default_factory=os.getpid)
    address: Text = ""  # in a cluster
    since: Moment = Field(default_factory=now)


def place(folder: Path, number: int, variant: int | None = None) -> Path:
    """The folder of an attempt at the job in ``folder``, or of a part of it: a variant, or the sheet."""
    own = folder / f"attempt-{number}"
    return own if variant is None else variants.place(own, variant)


def begin(folder: Path, number: int, worker: Worker, variant: int | None = None) -> Path:
    """Make the folder of an attempt, with what the last attempt that came to anything has left; gives it.

    That of a sweep is there already (``spread``), and the part of it is taken.

    Raises:
        FileExistsError: this attempt has been begun before.
        FileNotFoundError: the job is not there.
    """
    own = place(folder, number, variant)
    if variant is None:
        _make(folder, number)
    with storage.create(own / WORKER) as file:
        file.write(worker.model_dump_json().encode())
    return own


def spread(folder: Path, job: Job) -> list[int]:
    """Make the folder of an attempt at a sweep, with one for each variant, or at a clip that is painted in parts; gives
    the variants, or the parts, that have no picture. Before its parts are known a clip has one, ``SCOUT``.

    Raises:
        RecordError: the record is damaged; nothing is made.
    """
    if job.kind != "photo":
        own = _make(folder, job.attempts)
        if found := parts.read(own):
            for number in range(1, len(found) + 1):
                storage.ensure_folder(variants.place(own, number), within=own)
            return variants.unpainted(own)
        storage.ensure_folder(variants.place(own, variants.SCOUT), within=own)
        return [variants.SCOUT]
    count = len(variants.records(job))
    own = _make(folder, job.attempts)
    for number in range(1, count + 1):
        storage.ensure_folder(variants.place(own, number), within=own)
    return [number for number in variants.unpainted(own) if number <= count]


def is_in_parts(folder: Path, job: Job, workers: int) -> bool:
    """Whether a clip is painted in parts: where several workers can, and wherever that has been begun."""
    if job.kind == "photo" or job.frames < 2:
        return False
    earlier = _last_with_progress(folder, job.attempts)
    return bool(parts.read(earlier)) if earlier else workers > 1


def earlier_losses(folder: Path, number: int) -> list[Loss]:
    """What was logged at the attempt that this one goes on from."""
    earlier = _last_with_progress(folder, number)
    return losses.Tail(earlier).read() if earlier else []


def leave(attempt: Path) -> None:
    """End an attempt in order, before the job is through."""
    with contextlib.suppress(OSError):
        storage.remove_file(attempt / WORKER)


def workers(attempt: Path) -> list[Worker]:
    """All who are at an attempt, or died at it: one, or one for each variant that is not through."""
    places = [attempt, *variants.places(attempt)]
    return [found for place in places if not result.read(place) and (found := worker(place))]


def worker(attempt: Path) -> Worker | None:
    """Who is at an attempt or a variant, or died at it; None where nobody has begun it, or it was left in order."""
    try:
        return read_json(Worker, storage.read(attempt / WORKER, MOST_BYTES))
    except (OSError, SpoiltError):
        return None


def has_begun(attempt: Path) -> bool:
    """Whether anybody has come to work at an attempt or a variant."""
    return worker(attempt) is not None or storage.is_there(attempt / losses.FILE)


def outdated(folder: Path) -> list[Path]:
    """The attempts at the job in ``folder`` that no later one will start from."""
    *numbers, latest = sorted(_numbers(folder)) or [0]
    kept = _last_with_progress(folder, latest + 1)
    return [found for number in numbers if (found := place(folder, number)) != kept]


class Fence:
    """Whether an attempt still counts: it is the one in the record, and the runner lives.

    Args:
        folder: the job's.
        number: of the attempt.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number
        self._lease = LeaseWatch(folder.parent.parent)
        self._looked = -LOOK_SECONDS
        self._holds = True

    def holds(self) -> bool:
        """As it was found at the last look, which is no older than a second; once lost, it stays lost."""
        if self._holds and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._holds = self._is_recorded() and not self._lease.is_stale()
            self._looked = time.monotonic()
        return self._holds

    def _is_recorded(self) -> bool:
        try:
            # A lower number is an old record, as a network share may show it for a while.
            return Job.load(self._folder).attempts <= self._number
        except (FileNotFoundError, NotADirectoryError):  # back in the queue, or ended
            return False
        except (RecordError, OSError):  # which says nothing of another attempt
            return True


def _make(folder: Path, number: int) -> Path:
    own = place(folder, number)
    storage.make_folder(own)
    if earlier := _last_with_progress(folder, number):
        _carry_over(earlier, own)
    storage.sync_folder(folder)
    return own


def _numbers(folder: Path) -> list[int]:
    try:
        found = [one.name.partition("attempt-")[2] for one in storage.entries(folder) if one.is_folder]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [int(number) for number in found if number.isdecimal() and str(int(number)) == number]


def _last_with_progress(folder: Path, below: int) -> Path | None:
    earlier = (place(folder, number) for number in sorted(_numbers(folder), reverse=True) if number < below)
    return next((one for one in earlier if _has_progress(one)), None)


def _has_progress(attempt: Path) -> bool:
    has_run = storage.is_file(attempt / checkpoint.FILE) or bool(frames.files(attempt))
    return has_run or storage.is_folder(attempt / VARIANTS)


def _carry_over(source: Path, target: Path) -> None:
    """What a run goes on from. The source's worker may still be writing."""
    _carry_over_run(source, target)
    if storage.is_folder(source / VARIANTS):
        with storage.passed_over():
            storage.link_or_copy(source / parts.FILE, target / parts.FILE)
        building = target / f".{VARIANTS}"
        storage.make_folder(building)
        for variant in variants.places(source):
            storage.make_folder(building / variant.name)
            _carry_over_run(variant, building / variant.name)
            if variants.is_whole(variant):
                storage.make_folder(building / variant.name / result.RESULT)
                _link_all(result.files(variant), building / variant.name / result.RESULT)
                _link_all([variant / result.RESULT / result.REPORT], building / variant.name / result.RESULT)
                storage.make_folder(building / variant.name / previews.FOLDER)
                _link_all(previews.files(variant), building / variant.name / previews.FOLDER)
        storage.move(building, target / VARIANTS)


def _link_all(files: Iterable[Path], folder: Path) -> None:
    for file in files:
        with storage.passed_over():
            storage.link_or_copy(file, folder / file.name)


def _carry_over_run(source: Path, target: Path) -> None:
    """Checkpoint and loss log. A log that is read after its checkpoint reaches at least as far."""
    unnamed = target / f".{checkpoint.FILE}.part"  # until its log is there
    with storage.passed_over():
        storage.link_or_copy(source / checkpoint.FILE, unnamed)
    _link_all(snapshots.read(source).values(), target)
    _link_all(frames.files(source), target)
    with storage.passed_over():
        storage.write_atomic(target / losses.FILE, storage.read(source / losses.FILE, losses.MOST_BYTES))
    with contextlib.suppress(FileNotFoundError):
        storage.move(unnamed, target / checkpoint.FILE)
