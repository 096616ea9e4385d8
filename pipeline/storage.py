"""Files that are either whole or not there: atomic writes, safe copies, publishing a folder, the runner's lock."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from pipeline.errors import EnvironmentFault, JobError, RunnerBusyError

_CHUNK = 1 << 20


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems sync no folders
            raise
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that readers, and a crash, see the old one or the new one whole."""
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """``write_atomic`` for plain data, as JSON: an indented line an entry, but lists of numbers in one line."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\n[-+.eE\d,\s]+\]", lambda numbers: " ".join(numbers[0].split()), text)
    # Half a surrogate pair, as in a file name that is not UTF-8, becomes the escape that JSON has for it.
    write_atomic(path, (text + "\n").encode("utf-8", "backslashreplace"))


def copy_stream(source: BinaryIO, target: Path) -> str:
    """Copy an open file to a new durable one; gives the SHA-256 of what was copied, in hexadecimal."""
    digest = hashlib.sha256()
    with target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder's regular files, durably; links and devices stay behind."""
    target.mkdir()
    for entry in sorted(source.iterdir()):
        if entry.is_symlink():
            continue
        if entry.is_dir():
            copy_tree(entry, target / entry.name)
        elif entry.is_file():
            with entry.open("rb") as file:
                copy_stream(file, target / entry.name)
    sync_folder(target)


def move(source: Path, target: Path) -> None:
    """Rename on one file system, durably: at every instant there is one or the other."""
    os.rename(source, target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder that has a dot-name already, so that nobody looks for it; none there is fine."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that has served its turn, unless something is in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def discard(folder: Path, trash: Path) -> None:
    """Make a folder disappear in one rename, then remove it under the dot-folder ``trash`` on its file system."""
    trash.mkdir(exist_ok=True)
    doomed = trash / folder.name
    remove_tree(doomed)
    move(folder, doomed)
    remove_tree(doomed)
    remove_if_empty(trash)


@contextlib.contextmanager
def open_inside(path: Path, roots: list[Path], name: str) -> Iterator[BinaryIO]:
    """Open a regular file that lies in one of ``roots``, links followed, whatever is swapped meanwhile.

    The path is resolved once; then every folder on the way from the root is opened without following links, so that a
    link put there after the check leads nowhere.

    Raises:
        JobError: it leads out of the roots, or is no regular file.
        FileNotFoundError: it, or a folder on the way, is not there (or has just become a link).
    """
    target = Path(os.path.realpath(path))
    root = next((r for r in map(Path, map(os.path.realpath, roots)) if target.is_relative_to(r)), None)
    if root is None or target == root:
        raise JobError(
            f"{name}: leads outside the inbox.", "Put the image into the inbox, or name its folder with --library."
        )
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *folders, file_name = target.relative_to(root).parts
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        # Opening a FIFO would wait for a writer.
        opened = os.open(file_name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=descriptor)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise FileNotFoundError(errno.ENOENT, "not there", str(path)) from error
        if error.errno in (errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV):
            raise JobError(f"{name}: not a path of an image file ({error.strerror}).") from None
        raise
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise JobError(f"{name}: a folder or a device, not an image file.")
    with os.fdopen(opened, "rb") as file:
        yield file


@contextlib.contextmanager
def runner_lock(jobs: Path) -> Iterator[None]:
    """Hold ``jobs/.lock``; the lock of a dead process is free.

    Raises:
        RunnerBusyError: another runner holds it; says which.
    """
    lock = FileLock(jobs / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = lock_holder(jobs) or {"pid": "unknown", "host": "an unknown host", "since": "an unknown time"}
        raise RunnerBusyError(
            f"another runner works on {jobs}: process {holder['pid']} on {holder['host']}, since {holder['since']}."
        ) from None
    except NotImplementedError:
        raise EnvironmentFault(
            f"{jobs}: its file system has no locks.", "Keep the jobs folder on a local disk."
        ) from None
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(jobs / ".runner.json", {"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        yield
        with contextlib.suppress(OSError):  # who holds the lock is told for information only
            (jobs / ".runner.json").unlink()
    finally:
        lock.release()


def lock_holder(jobs: Path) -> dict[str, Any] | None:
    """Who holds the lock (pid, host, since), as far as the holder has written it down."""
    try:
        holder: dict[str, Any] = json.loads((jobs / ".runner.json").read_bytes())
    except (OSError, ValueError):
        return None
    return holder


def is_alive(holder: dict[str, Any]) -> bool:
    """Whether a lock's holder lives, as far as can be told from here; one on another host is taken to."""
    if holder["host"] != socket.gethostname():
        return True
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
