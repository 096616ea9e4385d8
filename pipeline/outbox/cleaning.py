"""What lies about of jobs that ended long ago, and removing it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline import storage
from pipeline.jobs import cancel, log
from pipeline.jobs.record import is_job_id
from pipeline.jobs.spool import Spool
from pipeline.outbox import pictures
from pipeline.outbox.publish import withdraw


@dataclass(frozen=True)
class Leftover:
    """Something that may go: what it is in words, where it lies, its bytes, and since when it has been over."""

    kind: str
    path: Path
    size: int
    since: float  # seconds since the epoch


def find(spool: Spool, outbox: Path | None, before: float) -> list[Leftover]:
    """What has been over since before a moment: never what is queued, running, or not answered yet.

    Args:
        spool: the jobs folder.
        outbox: for results too; None to leave them, as they are their owners'.
        before: seconds since the epoch.
    """
    found = [*_failed(spool), *_files("records of finished jobs", spool.done), *_files("images", spool.inputs.folder)]
    if outbox:
        found += _results(spool, outbox)
    return sorted((one for one in found if one.since < before), key=lambda one: (one.kind, one.since))


def remove(leftover: Leftover, spool: Spool) -> None:
    """Remove it, a folder in one rename; whoever was faster, such as a `retry`, has it."""
    with contextlib.suppress(FileNotFoundError):
        if leftover.path.parent == spool.failed:
            spool.forget(leftover.path.name)
        elif storage.is_folder(leftover.path):
            pictures.take_back(leftover.path.parent, leftover.path.name)
            withdraw(leftover.path.parent, leftover.path.name)
        else:
            storage.remove_file(leftover.path)


def _failed(spool: Spool) -> Iterator[Leftover]:
    for path in _listed(spool.failed):
        status = storage.glance(path)
        if status and is_job_id(path.name) and not cancel.is_marked(path):
            yield Leftover("failed jobs", path, _size(path), status.st_mtime)


def _files(kind: str, folder: Path) -> Iterator[Leftover]:
    for path in _listed(folder):
        if status := storage.glance(path):
            yield Leftover(kind, path, status.st_size, status.st_mtime)


def _results(spool: Spool, outbox: Path) -> Iterator[Leftover]:
    for path in _listed(outbox):
        published = log.read(outbox, path.name)
        if published and not any(storage.is_there(state / path.name) for state in (spool.queued, spool.running)):
            since = datetime.fromisoformat(published.job.finished_at).timestamp()
            yield Leftover("results", path, _size(path), since)


def _listed(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in storage.names(folder) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def _size(folder: Path) -> int:
    """Bytes of all files in a folder, as far as they can be seen."""
    total = 0
    for entry in storage.walk(folder):
        with contextlib.suppress(OSError):
            status = None if entry.is_folder else storage.look(entry.path)
            total += status.st_size if status else 0
    return total
