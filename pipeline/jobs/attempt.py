"""An attempt at a job: ``attempt-<n>/`` in the job's folder, where the one worker that has begun it writes.

Each variant of a sweep has a worker of its own, or in its turn, which writes into that variant's folder there.

The record says which attempt counts, and nobody reads another: one that was thought dead may go on and harms nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from pathlib import Path

from pydantic import Field

from pipeline import storage
from pipeline.jobs import checkpoint, losses, previews, result, snapshots, variants
from pipeline.jobs.fields import Moment, ProcessId, SpoiltError, Text, read_json
from pipeline.jobs.lock import LeaseWatch
from pipeline.jobs.losses import Loss
from pipeline.jobs.record import VARIANTS, Job, RecordError, now
from pipeline.manifest.parameters import Model

WORKER = "worker.json"
LOOK_SECONDS = 1.0  # between looks at the record


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
    with (own / WORKER).open("x", encoding="utf-8") as file:
        file.write(worker.model_dump_json())
    return own


def spread(folder: Path, job: Job) -> list[int]:
    """Make the folder of an attempt at a sweep, with one for each variant; gives the variants that have no picture.

    Raises:
        RecordError: the record is damaged; nothing is made.
    """
    count = len(variants.records(job))
    own = _make(folder, job.attempts)
    for number in range(1, count + 1):
        variants.place(own, number).mkdir(parents=True, exist_ok=True)
    return [number for number in variants.unpainted(own) if number <= count]


def earlier_losses(folder: Path, number: int) -> list[Loss]:
    """What was logged at the attempt that this one goes on from."""
    earlier = _last_with_progress(folder, number)
    return losses.Tail(earlier).read() if earlier else []


def leave(attempt: Path) -> None:
    """End an attempt in order, before the job is through."""
    with contextlib.suppress(OSError):
        (attempt / WORKER).unlink(missing_ok=True)


def workers(attempt: Path) -> list[Worker]:
    """All who are at an attempt, or died at it: one, or one for each variant that is not through."""
    places = [attempt, *variants.places(attempt)]
    return [found for place in places if not result.read(place) and (found := worker(place))]


def worker(attempt: Path) -> Worker | None:
    """Who is at an attempt or a variant, or died at it; None where nobody has begun it, or it was left in order."""
    try:
        return read_json(Worker, storage.read_record(attempt / WORKER))
    except (OSError, SpoiltError):
        return None


def has_begun(attempt: Path) -> bool:
    """Whether anybody has come to work at an attempt or a variant."""
    return worker(attempt) is not None or (attempt / losses.FILE).exists()


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
    own.mkdir()
    if earlier := _last_with_progress(folder, number):
        _carry_over(earlier, own)
    storage.sync_folder(folder)
    return own


def _numbers(folder: Path) -> list[int]:
    found = (path.name.partition("-")[2] for path in folder.glob("attempt-*") if path.is_dir())
    return [int(number) for number in found if number.isdecimal() and str(int(number)) == number]


def _last_with_progress(folder: Path, below: int) -> Path | None:
    earlier = (place(folder, number) for number in sorted(_numbers(folder), reverse=True) if number < below)
    return next((one for one in earlier if (one / checkpoint.FILE).exists() or (one / VARIANTS).exists()), None)


def _carry_over(source: Path, target: Path) -> None:
    """What a run goes on from. The source's worker may still be writing."""
    _carry_over_run(source, target)
    if (source / VARIANTS).is_dir():
        building = target / f".{VARIANTS}"
        building.mkdir()
        for variant in variants.places(source):
            (building / variant.name).mkdir()
            _carry_over_run(variant, building / variant.name)
            if isinstance(result.read(variant), result.Done):
                (building / variant.name / result.RESULT).mkdir()
                for file in (*result.files(variant), variant / result.RESULT / result.REPORT):
                    _link(file, building / variant.name / result.RESULT / file.name)
                (building / variant.name / previews.FOLDER).mkdir()
                for file in previews.files(variant):
                    _link(file, building / variant.name / previews.FOLDER / file.name)
        storage.move(building, target / VARIANTS)


def _carry_over_run(source: Path, target: Path) -> None:
    """Checkpoint and loss log. A log that is read after its checkpoint reaches at least as far."""
    unnamed = target / f".{checkpoint.FILE}.part"  # until its log is there
    with contextlib.suppress(FileNotFoundError):
        _link(source / checkpoint.FILE, unnamed)
    for snapshot in snapshots.read(source).values():
        _link(snapshot, target / snapshot.name)
    with contextlib.suppress(FileNotFoundError):
        storage.write_atomic(target / losses.FILE, (source / losses.FILE).read_bytes())
    with contextlib.suppress(FileNotFoundError):
        storage.move(unnamed, target / checkpoint.FILE)


def _link(source: Path, target: Path) -> None:
    """A second name for a file that is only ever replaced whole, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
