"""Whether inbox, jobs and outbox can bear what a runner does with them. What is tried leaves nothing behind."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import storage
from pipeline.inbox.alarm import Alarm
from pipeline.inbox.overlaps import REMEDY, overlaps
from pipeline.worker.finding import Finding, broken, ok, warning

LITTLE_SPACE = 2_000_000_000  # bytes; a checkpoint of 2048 × 1536 pixels takes 0.9 GB, and twice that for a moment
NO_SPACE = 50_000_000
EVENT_SECONDS = 3.0


def examine(inbox: Path, jobs: Path, outbox: Path, poll: bool, libraries: Sequence[Path] = ()) -> Iterator[Finding]:
    """Each folder, then what they are to each other.

    Args:
        inbox, jobs, outbox: as for a runner.
        poll: whether it does without file system events.
        libraries: folders that images are taken from.
    """
    yield apart(inbox, jobs, outbox, libraries)
    there = {}
    for name, folder in (("inbox", inbox), ("jobs", jobs), ("outbox", outbox)):
        found = writable(name, folder)
        yield found
        there[name] = found.state == "ok"
        if there[name]:
            yield free_space(name, shutil.disk_usage(folder).free)
    if there["jobs"]:
        yield locks(jobs)
    for name, folder in (("inbox", inbox), ("outbox", outbox)):
        if there[name] and there["jobs"]:
            yield rename(name, folder, jobs)
    if there["inbox"] and not poll:
        yield events(inbox)


def apart(inbox: Path, jobs: Path, outbox: Path, libraries: Sequence[Path] = ()) -> Finding:
    """Whether nothing that a runner writes lies among what it reads."""
    if found := overlaps(inbox, libraries, jobs=jobs, outbox=outbox):
        return broken("folders", "; ".join(found), REMEDY)
    return ok("folders", "inbox, jobs and outbox are apart")


def writable(name: str, folder: Path) -> Finding:
    """Whether a file can be written into the folder, made durable, renamed and removed.

    Args:
        name: of the folder, as its option says.
        folder: which need not be there.
    """
    remedy = f"Let this user in (`id -un` says who), or name another with --{name}."
    if not storage.is_there(folder):
        above = next(parent for parent in folder.absolute().parents if storage.is_there(parent))
        try:
            with _probe(above) as probe:
                storage.mark(probe)
        except OSError as error:
            return broken(name, f"{folder} is not there, and cannot be made in {above} ({error.strerror})", remedy)
        return warning(name, f"{folder} is not there yet", f"A runner makes it; or name another with --{name}.")
    try:
        with _probe(folder) as probe:
            storage.write_atomic(probe, b"whole")
    except OSError as error:
        return broken(name, f"{folder} cannot be written ({error.strerror or error})", remedy)
    return ok(name, f"{folder.resolve()} can be written")


def free_space(name: str, free: int) -> Finding:
    """Whether the disk has room.

    Args:
        name: of the folder.
        free: bytes.
    """
    what, remedy = f"{free / 1e9:.1f} GB free", "Make room: done results may be moved, `jobs/failed/` be emptied."
    if free < NO_SPACE:
        return broken(f"{name}, space", what, remedy)
    if free < LITTLE_SPACE:
        return warning(f"{name}, space", what, remedy)
    return ok(f"{name}, space", what)


def locks(jobs: Path, lock: Callable[[Path], FileLock] = FileLock) -> Finding:
    """Whether a lock keeps a second holder out, which some network file systems only pretend.

    Args:
        jobs: the folder.
        lock: makes a lock of a file.
    """
    remedy = "Keep the jobs folder on a local disk."
    try:
        with _probe(jobs) as probe, lock(probe):
            try:
                with lock(probe).acquire(blocking=False):
                    return broken("jobs, locks", "two holders of one lock at once", remedy)
            except Timeout:
                return ok("jobs, locks", "one holder at a time")
    except (OSError, NotImplementedError) as error:
        return broken("jobs, locks", f"there are none ({error})", remedy)


def rename(name: str, folder: Path, jobs: Path, move: Callable[[Path, Path], None] = storage.move) -> Finding:
    """Whether what is taken in and what is done can be renamed between a folder and the jobs folder, or is copied.

    Args:
        name: of the folder.
        folder: inbox or outbox.
        jobs: the jobs folder.
        move: a rename.
    """
    name = f"{name} and jobs"
    try:
        with _probe(folder) as here, _probe(jobs) as there:
            storage.mark(here)
            move(here, there)
    except OSError as error:
        if error.errno != errno.EXDEV:
            return broken(name, f"a file cannot be renamed from one to the other ({error.strerror})", "See its rights.")
        return ok(name, "on two file systems: what goes between them is copied, whole or not at all")
    return ok(name, "on one file system: a rename takes what goes between them")


def events(inbox: Path, seconds: float = EVENT_SECONDS) -> Finding:
    """Whether a new file in the inbox is told by an event.

    Args:
        inbox: the folder.
        seconds: to wait for it.
    """
    name, remedy = "inbox, events", "Use --poll; without, drops are found every few seconds all the same."
    alarm = Alarm(inbox)
    try:
        if problem := alarm.keep_alive():
            return warning(name, problem, remedy)
        with _probe(inbox) as probe:
            storage.mark(probe)
            if not alarm.rung.wait(seconds):
                return warning(name, f"none came within {seconds:g} s of a new file", remedy)
    finally:
        alarm.stop()
    return ok(name, "a new file is told at once")


@contextlib.contextmanager
def _probe(folder: Path) -> Iterator[Path]:
    """A path for a file that nobody looks at; gone afterwards."""
    path = folder / f".doctor-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            storage.remove_file(path)
