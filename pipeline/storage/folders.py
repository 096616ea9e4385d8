"""Folders by their descriptors, reached part by part without following a link; what is in them, by ``lstat``."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# To pass through a folder takes the right to search it, where a system has a word for that, and not to list it.
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# No entry is at such a path, nor can be.
_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
# What one entry can answer while its place is well. Not: no room, a file system gone read-only, too many open files.
_OF_ENTRY = (
    *_NOWHERE,
    *(errno.EACCES, errno.EPERM, errno.ESTALE, errno.EIO, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST),
    *(errno.ENXIO, errno.ENODEV, errno.EINVAL, errno.EFBIG, errno.EBUSY, errno.EAGAIN, errno.EXDEV, errno.EMLINK),
)
_REFUSALS = tuple(number for number in _OF_ENTRY if number not in (errno.ENOENT, errno.EIO, errno.ESTALE))
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class OddError(OSError):
    """What stands in the place of a file is none, or larger than any of its kind; ``strerror`` says what it is."""


DEEPEST = 100  # folders within folders that are walked through; nobody means more


@dataclass(frozen=True)
class Entry:
    """A name in a folder, and of what kind it is itself: a link is neither of the other two."""

    path: Path
    is_folder: bool
    is_file: bool
    is_link: bool
    status: os.stat_result | None = None  # of itself, where that was asked for

    @property
    def name(self) -> str:
        """Its name."""
        return self.path.name


def real(path: Path) -> Path:
    """A path that somebody has named, as it is if no part of it is a link; else where it leads."""
    found = os.path.realpath(path)
    return path if found == os.path.abspath(path) else Path(found)


def kind_of(mode: int) -> str:
    """What an entry is, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def is_of_entry(error: OSError) -> bool:
    """Whether what was answered to a look tells of the one entry, and nothing of the place that it is in."""
    return error.errno in _OF_ENTRY


def is_refusal(error: OSError, *paths: Path) -> bool:
    """Whether an error tells that one of these, or what is in it, is not ours to write, move or remove.

    That is: somebody else's, or something else than it should be. An input/output error may be any file's next.
    """
    if error.errno not in _REFUSALS or error.filename is None:
        return False
    return any(Path(error.filename).is_relative_to(path) for path in paths)


@contextlib.contextmanager
def passed_over() -> Iterator[None]:
    """What one entry answers to being looked at is passed over; what its place does is raised."""
    try:
        yield
    except OSError as error:
        if not is_of_entry(error):
            raise


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors name the whole path, of which a call by descriptors knows the last part alone."""
    try:
        yield
    except OddError:
        raise
    except OSError as error:
        name = str(error.filename or "")
        is_above = name not in ("", path.name) and Path(name) in path.parents  # such as a relative `outbox`
        if os.sep in name or is_above:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextlib.contextmanager
def opened(folder: Path, to_list: bool = False) -> Iterator[int]:
    """A descriptor of a folder, in which to open, move and remove by name.

    Args:
        folder: its path.
        to_list: whether it is to be listed or made durable, too.

    Raises:
        NotADirectoryError: a part of the path is a link, or no folder.
        OSError: as of any path.
    """
    parts = folder.parts
    descriptor = os.open(folder.anchor or ".", _LIST if to_list and parts == (folder.anchor,) else _SEARCH)
    try:
        names = parts[1:] if folder.anchor else parts or (".",)
        for number, name in enumerate(names, 1):
            try:
                inner = os.open(name, _LIST if to_list and number == len(names) else _SEARCH, dir_fd=descriptor)
            except OSError as error:
                place = Path(folder.anchor, *names[:number])
                if error.errno in (errno.ENOTDIR, errno.ELOOP):
                    what = kind_of(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode)
                    raise NotADirectoryError(errno.ENOTDIR, f"Not a directory, but {what}", str(place)) from None
                raise OSError(error.errno, error.strerror, str(place)) from None
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def around(path: Path, to_list: bool = False) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder that a path lies in, and its name there; errors name the path."""
    with naming(path), opened(path.parent, to_list) as folder:
        yield folder, path.name or "."


def free_bytes(folder: Path) -> int:
    """What the disk of a folder has left for this user."""
    with around(folder / "any") as (descriptor, _):
        found = os.fstatvfs(descriptor)
        return found.f_bavail * found.f_frsize


def look(path: Path) -> os.stat_result | None:
    """What stands at a path itself; None if nothing is there, or can be.

    Raises:
        OSError: it cannot be told.
    """
    try:
        with around(path) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NOWHERE:
            return None
        raise


def glance(path: Path) -> os.stat_result | None:
    """``look``, for what need not be known: None as well where this one entry does not let itself be looked at."""
    try:
        return look(path)
    except OSError as error:
        if is_of_entry(error):
            return None
        raise


def is_there(path: Path) -> bool:
    """Whether anything stands at a path; errors as ``look``."""
    return look(path) is not None


def is_folder(path: Path) -> bool:
    """Whether a folder does, and no link to one; errors as ``look``."""
    found = look(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_file(path: Path) -> bool:
    """Whether a regular file does, and no link to one; errors as ``look``."""
    found = look(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def names(folder: Path) -> list[str]:
    """The names in a folder, sorted.

    Raises:
        NotADirectoryError: it is a link, or no folder.
        OSError: it cannot be listed.
    """
    with opened(folder, to_list=True) as descriptor, naming(folder):
        return sorted(os.listdir(descriptor))


def entries(folder: Path, with_status: bool = False) -> list[Entry]:
    """What is in a folder, by name; errors as ``names``. The status of thousands is cheap here: the folder is open."""
    with opened(folder, to_list=True) as descriptor, naming(folder), os.scandir(descriptor) as found:
        return [_entry(folder, one, with_status) for one in sorted(found, key=lambda one: one.name)]


def _entry(folder: Path, found: os.DirEntry[str], with_status: bool) -> Entry:
    try:
        is_folder = found.is_dir(follow_symlinks=False)
        status = found.stat(follow_symlinks=False) if with_status else None
        return Entry(folder / found.name, is_folder, found.is_file(follow_symlinks=False), found.is_symlink(), status)
    except OSError:  # where a file system does not list the kinds: it cannot be told
        return Entry(folder / found.name, is_folder=False, is_file=False, is_link=False)


def walk(folder: Path) -> Iterator[Entry]:
    """All that is below a folder, as far as it can be listed and is not too deep, each folder before what is in it."""
    pending = [folder]
    while pending:
        found: list[Entry] = []
        with contextlib.suppress(OSError):
            found = entries(pending.pop())
        yield from found
        pending += [one.path for one in found if one.is_folder and len(one.path.parts) <= len(folder.parts) + DEEPEST]


def make_folder(path: Path) -> None:
    """Make a folder.

    Raises:
        FileExistsError: something is there.
    """
    with around(path) as (folder, name):
        os.mkdir(name, dir_fd=folder)


def ensure_folder(path: Path, within: Path | None = None) -> None:
    """Make a folder unless it is there.

    Args:
        path: of the folder.
        within: a folder that is there; those between are made, too.

    Raises:
        NotADirectoryError: something else stands in its place, such as a link.
    """
    for place in [*reversed(path.parents[: len(path.relative_to(within).parts) - 1])] if within else []:
        ensure_folder(place)
    try:
        make_folder(path)
    except FileExistsError:
        with opened(path):
            pass


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    with opened(folder, to_list=True) as descriptor:
        sync(descriptor)


def sync(descriptor: int) -> None:
    """Make the names in an open folder durable."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems sync no folders
            raise


def touch(path: Path) -> None:
    """Set the times of a file or folder to now; of a link its own."""
    with around(path) as (folder, name):
        os.utime(name, dir_fd=folder, follow_symlinks=False)
