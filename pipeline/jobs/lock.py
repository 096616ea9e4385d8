"""The runner's lock on a jobs folder, who holds it, and the lease by which workers elsewhere know that it lives."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import storage
from pipeline.errors import EnvironmentFault, RunnerBusyError
from pipeline.jobs.fields import Moment, ProcessId, SpoiltError, Text, read_json
from pipeline.manifest.fields import Model

LOCK = ".lock"
HOLDER = ".runner.json"
RENEW_SECONDS = 5.0  # between renewals of the lease
MOST_BYTES = 1 << 16  # of what the holder has written down
STALE_SECONDS = 60.0  # without one: the runner is gone
GONE_SECONDS = 600.0  # the same for who looks by another clock: of another machine, of a server of files


class Holder(Model):
    """Who holds a lock, as it has written down."""

    pid: ProcessId
    host: Text
    since: Moment

    def is_alive(self, lease_seconds: float) -> bool:
        """Whether it lives, as far as can be told from here.

        Args:
            lease_seconds: since the lease was renewed, by this machine's clock, which may be another than the holder's.
        """
        if lease_seconds >= GONE_SECONDS:  # whoever has its number now
            return False
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def runner_name(jobs: Path) -> str:
    """The name of the runner of a jobs folder, in every life of it, among others on one inbox or outbox."""
    place = f"{socket.gethostname()}:{jobs}"
    return f"runner-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


@contextlib.contextmanager
def runner_lock(jobs: Path) -> Iterator[None]:
    """Hold ``jobs/.lock``; the lock of a dead process is free.

    Raises:
        RunnerBusyError: another runner holds it; says which.
        EnvironmentFault: there are no locks here.
    """
    lock = _lock(jobs)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        found = holder(jobs)
        who = f"process {found.pid} on {found.host}, since {found.since}" if found else "nobody knows which"
        raise RunnerBusyError(f"another runner works on {jobs}: {who}.") from None
    except NotImplementedError:
        raise EnvironmentFault(
            f"{jobs}: its file system has no locks.", "Keep the jobs folder on a local disk."
        ) from None
    try:
        with contextlib.suppress(OSError):  # such as of a full disk: the lease, when it is renewed, tells it
            _write_holder(jobs)
        yield
        with contextlib.suppress(OSError):  # who holds the lock is told for information only
            storage.remove_file(jobs / HOLDER)
    finally:
        lock.release()


@contextlib.contextmanager
def without_runner(jobs: Path) -> Iterator[bool]:
    """Whether no runner works on a jobs folder; if so none begins meanwhile, so be quick."""
    lock = _lock(jobs)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _write_holder(jobs: Path) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    own = Holder(pid=os.getpid(), host=socket.gethostname(), since=since)
    storage.write_json(jobs / HOLDER, own.model_dump())


def _lock(jobs: Path) -> FileLock:
    path = jobs / LOCK
    if storage.is_there(path) and not storage.is_file(path):
        raise EnvironmentFault(f"{path.absolute()} is no file, as a lock has to be.", "Move it elsewhere.")
    return FileLock(path)


def holder(jobs: Path) -> Holder | None:
    """Who holds the lock, as far as the holder has written it down."""
    try:
        return read_json(Holder, storage.read(jobs / HOLDER, MOST_BYTES))
    except (OSError, SpoiltError):
        return None


def lease_seconds(jobs: Path) -> float:
    """Seconds since the holder's lease was renewed, by this machine's clock."""
    found = storage.glance(jobs / HOLDER)
    return time.time() - found.st_mtime if found else math.inf


class Lease:
    """The runner's side of its lease on a jobs folder, which is the time of the file that names the holder."""

    def __init__(self, jobs: Path) -> None:
        self._jobs = jobs
        self._renewed = -math.inf

    def renew(self) -> None:
        """Renew it if that is due."""
        if time.monotonic() - self._renewed >= RENEW_SECONDS:
            try:
                storage.touch(self._jobs / HOLDER)
            except FileNotFoundError:
                _write_holder(self._jobs)
            self._renewed = time.monotonic()


class LeaseWatch:
    """A worker's side: whether the lease is still renewed. By the worker's clock alone, as no two clocks agree."""

    def __init__(self, jobs: Path) -> None:
        self._file = jobs / HOLDER
        self._seen: int | None = None
        self._changed = time.monotonic()

    def is_stale(self) -> bool:
        """Whether it has not changed for a minute."""
        try:
            found = storage.look(self._file)
        except OSError:
            found = None
        seen = found and found.st_mtime_ns
        if seen is not None and seen != self._seen:
            self._seen, self._changed = seen, time.monotonic()
        return time.monotonic() - self._changed > STALE_SECONDS
