"""Files that are whole or not there, and reading what may be none: without waiting, up to a limit of its kind."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.storage.folders import OddError, around, kind_of, sync

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe has no writer to wait for, a device nothing to say
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DRAFTS = 0o666  # but for the umask


def open_file(path: Path, most: int | None = None) -> BinaryIO:
    """A regular file, open for reading.

    Args:
        path: of the file.
        most: bytes that any of its kind has; None where whoever reads it sees to that.

    Raises:
        OddError: it is a link, a folder, a pipe, a device, or larger.
        FileNotFoundError: it is not there.
    """
    with around(path) as (folder, name):
        try:
            descriptor = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO, errno.ENODEV):
                raise
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            raise OddError(error.errno, kind_of(mode), str(path)) from None
    return _regular(descriptor, path, most)


def open_named(path: Path, most: int | None = None) -> BinaryIO:
    """A file that whoever started this command has named: links are followed. Errors as ``open_file``."""
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENODEV):
            raise
        raise OddError(error.errno, "a socket or a device", str(path)) from None
    return _regular(descriptor, path, most)


def _regular(descriptor: int, path: Path, most: int | None) -> BinaryIO:
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and (most is None or status.st_size <= most):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISREG(status.st_mode):
        raise OddError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    number = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
    raise OddError(number, kind_of(status.st_mode), str(path))


def read(path: Path, most: int) -> bytes:
    """What a file says.

    Args:
        path: of the file.
        most: bytes that any of its kind has.

    Raises:
        OddError: it is no regular file, or larger.
        FileNotFoundError: it is not there.
    """
    with open_file(path, most) as file:
        return file.read(most)


def read_named(path: Path, most: int) -> bytes:
    """As ``read``, of a file that whoever started this command has named."""
    with open_named(path, most) as file:
        return file.read(most)


def create(path: Path) -> BinaryIO:
    """A new file, open for writing.

    Raises:
        FileExistsError: something is there, if only a link to nowhere.
    """
    with around(path) as (folder, name):
        return _create_at(folder, name)


def _create_at(folder: int, name: str) -> BinaryIO:
    return os.fdopen(os.open(name, _NEW, _DRAFTS, dir_fd=folder), "wb")


def mark(path: Path) -> None:
    """Make an empty file, unless something is there."""
    with contextlib.suppress(FileExistsError), create(path):
        pass


def write_atomic(path: Path, data: bytes, writer: str = "") -> None:
    """Write a file so that readers, and a crash, see the old one or the new one whole.

    Args:
        path: of the file.
        data: what it says.
        writer: the name of who writes, where several may write the same file at the same time.
    """
    with opened_atomic(path, writer) as file:
        file.write(data)


@contextlib.contextmanager
def opened_atomic(path: Path, writer: str = "") -> Iterator[BinaryIO]:
    """``write_atomic``, of what is written meanwhile; nothing of it stays where that does not end well."""
    with around(path, to_list=True) as (folder, name):
        beside, file = _draft(folder, f".{name}.{writer or 'tmp'}")
        with file:
            try:
                yield file
                _put(file, beside, name, folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(beside, dir_fd=folder)
                raise


@contextlib.contextmanager
def opened_for_lines(path: Path, data: bytes, writer: str = "") -> Iterator[BinaryIO]:
    """``write_atomic``, and the file still open for more to be added at its end."""
    with around(path, to_list=True) as (folder, name):
        beside, file = _draft(folder, f".{name}.{writer or 'tmp'}")
        try:
            file.write(data)
            _put(file, beside, name, folder)
        except BaseException:
            file.close()
            raise
    with file:
        yield file


def _put(file: BinaryIO, beside: str, name: str, folder: int) -> None:
    """Give a file that is written its name, for good."""
    file.flush()
    os.fsync(file.fileno())
    os.replace(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    sync(folder)


def _draft(folder: int, name: str) -> tuple[str, BinaryIO]:
    """A new file of a dot-name, and that name: another one where somebody's folder is in the way."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        return name, _create_at(folder, name)
    except (IsADirectoryError, PermissionError, FileExistsError):
        name = f"{name}-{secrets.token_hex(4)}"
        return name, _create_at(folder, name)


def write_json(path: Path, value: Any) -> None:
    """``write_atomic`` for plain data, as JSON: an indented line an entry, but lists of numbers in one line."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\n[-+.eE\d,\s]+\]", lambda numbers: " ".join(numbers[0].split()), text)
    # Half a surrogate pair, as in a file name that is not UTF-8, becomes the escape that JSON has for it.
    write_atomic(path, (text + "\n").encode("utf-8", "backslashreplace"))


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
    with around(first) as (source, source_name), around(path, to_list=True) as (folder, name):
        try:
            os.link(source_name, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            with _create_at(folder, name) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        sync(folder)
