"""Files that are whole or not there: atomic writes, durable copies, moves, removals in one rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import logging
import os
import re
import secrets
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

log = logging.getLogger(__name__)

MOST_RECORD_BYTES = 256 << 20  # of a log of some million steps
SLICE_BYTES = 1 << 20
_SLICES_A_SYNC = 16  # so that no sync takes long, the last one least
_TRIES = 100  # at what another process undoes

T = TypeVar("T")
# Work on a file of any size, a moment at a time, and what comes of it. A small file is done at once, so that whoever is
# told to end has not begun with many.
Slices = Generator[None, None, T]


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


def write_atomic(path: Path, data: bytes, writer: str = "") -> None:
    """Write a file so that readers, and a crash, see the old one or the new one whole.

    Args:
        path: of the file.
        data: what it says.
        writer: the name of who writes, where several may write the same file at the same time.
    """
    beside = path.with_name(f".{path.name}.{writer or 'tmp'}")
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


def read_record(path: Path) -> bytes:
    """What a small file says; of what is none, a pipe or endless zeros, too little to make sense."""
    with open(path, "rb", opener=_open_without_waiting) as file:
        return file.read(MOST_RECORD_BYTES) or b""


def _open_without_waiting(path: str, flags: int) -> int:
    """For the writer of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def at_once(work: Slices[T]) -> T:
    """Do sliced work to its end; gives what comes of it."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def digest_of(file: BinaryIO) -> Slices[str]:
    """The SHA-256 of an open file, in hexadecimal; leaves it at its beginning."""
    digest = hashlib.sha256()
    file.seek(0)
    while len(chunk := file.read(SLICE_BYTES)) == SLICE_BYTES:
        digest.update(chunk)
        yield
    digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def copy_stream(source: BinaryIO, target: Path) -> Slices[str]:
    """Copy an open file to a new durable one; gives the SHA-256 of what was copied, in hexadecimal."""
    digest = hashlib.sha256()
    with target.open("xb") as file:
        for number in itertools.count(1):
            chunk = source.read(SLICE_BYTES)
            digest.update(chunk)
            file.write(chunk)
            is_last = len(chunk) < SLICE_BYTES
            if is_last or number % _SLICES_A_SYNC == 0:
                file.flush()
                os.fsync(file.fileno())
            if is_last:
                break
            yield
    return digest.hexdigest()


def copy_tree(source: Path, target: Path) -> Slices[None]:
    """Copy a file, or a folder's regular files, durably; links and devices stay behind."""
    if source.is_file():
        with source.open("rb") as file:
            yield from copy_stream(file, target)
        return
    target.mkdir()
    for entry in sorted(source.iterdir()):
        if not entry.is_symlink() and (entry.is_dir() or entry.is_file()):
            yield from copy_tree(entry, target / entry.name)
    sync_folder(target)


def move(source: Path, target: Path) -> None:
    """Rename on one file system, durably: at every instant there is one or the other."""
    os.rename(source, target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder that has a dot-name already, so that nobody looks for it; none there is fine.

    However deep: what lies two folders down is lifted up first, so that no path grows long and nothing recurs. Another
    process may be removing the same.

    Raises:
        OSError: something in it cannot be removed; all else is gone.
    """
    problems: list[OSError] = []
    numbers = itertools.count()

    def empty(place: Path, lift: bool) -> list[Path]:
        """Remove a folder's files; gives its folders, lifted to the top if that is asked for."""
        folders = []
        with os.scandir(place) as entries:
            found = list(entries)
        for entry in found:
            path = Path(entry.path)
            try:
                if not entry.is_dir(follow_symlinks=False):
                    path.unlink(missing_ok=True)
                elif lift:
                    top = next(t for n in numbers if not os.path.lexists(t := folder / f".{n}"))
                    os.rename(path, top)
                    folders.append(top)
                else:
                    folders.append(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                problems.append(error)
        return folders

    try:
        pending = empty(folder, lift=False)
    except FileNotFoundError:
        return
    while pending:
        place = pending.pop()
        try:
            pending += empty(place, lift=True)
            place.rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            problems.append(error)
    if problems:
        raise problems[0]
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


def clear_away(folder: Path) -> None:
    """``remove_tree``, as far as it goes: what others keep from being removed is told, and left to the next time."""
    try:
        remove_tree(folder)
    except OSError as error:
        log.warning("%s cannot be removed (%s): left for the next start", error.filename or folder, error.strerror)


@contextlib.contextmanager
def removed_unless_whole(folder: Path) -> Iterator[None]:
    """Remove a folder again if the building of it breaks off: by an error, or as whoever builds it is told to end."""
    try:
        yield
    except BaseException:
        clear_away(folder)
        raise


def make_once(path: Path, data: bytes, first: Path) -> None:
    """Make a file durably, which nobody sees before it is whole; where a file system has no links, soon after.

    Args:
        path: of the file.
        data: what it says.
        first: where it is written first, on the same file system; stays there.

    Raises:
        FileExistsError: somebody has made it.
    """
    write_atomic(first, data)
    try:
        os.link(first, path)
    except FileExistsError:
        raise
    except OSError:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(path.parent)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that has served its turn, unless something is in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def discard(folder: Path, trash: Path) -> None:
    """Make a folder disappear in one rename, then remove it under the dot-folder ``trash`` on its file system.

    Raises:
        FileNotFoundError: it is gone.
    """
    doomed = trash / folder.name
    clear_away(doomed)
    if doomed.exists():
        doomed = trash / f"{folder.name}-{secrets.token_hex(4)}"
    for tries_left in reversed(range(_TRIES)):
        try:
            trash.mkdir(exist_ok=True)
            os.rename(folder, doomed)
            break
        except (FileExistsError, FileNotFoundError):  # another may have found the trash empty, and just removed it
            if not tries_left or not os.path.lexists(folder):
                raise
    sync_folder(folder.parent)
    clear_away(doomed)
    remove_if_empty(trash)
