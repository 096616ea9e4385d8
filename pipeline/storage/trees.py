"""Moving and removing, by the descriptors of folders: what another exchanges meanwhile is not followed either."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.storage.folders import around, ensure_folder, is_there, look, naming, opened, sync

log = logging.getLogger(__name__)

_INNER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES = 100  # at what another process undoes


def move(source: Path, target: Path) -> None:
    """Rename on one file system, durably: at every instant there is one or the other."""
    with around(source, to_list=True) as (there, its), around(target, to_list=True) as (here, name):
        with _blaming(source, target):
            os.rename(its, name, src_dir_fd=there, dst_dir_fd=here)
        sync(here)
        if source.parent != target.parent:
            sync(there)


@contextlib.contextmanager
def _blaming(source: Path, target: Path) -> Iterator[None]:
    """An error of a rename names the one of the two that is in the way."""
    try:
        yield
    except OSError as error:
        blamed = target if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR) else source
        raise OSError(error.errno, error.strerror, str(blamed)) from None


def remove_file(path: Path) -> None:
    """Remove what stands at a path and is no folder, a link itself; nothing there is fine."""
    with contextlib.suppress(FileNotFoundError), around(path) as (folder, name):
        os.unlink(name, dir_fd=folder)


def remove(path: Path) -> None:
    """Remove what stands at a path, of whatever kind: a link itself, a folder as ``remove_tree``."""
    try:
        remove_file(path)
    except OSError:
        found = look(path)
        if found is None:
            return
        if not stat.S_ISDIR(found.st_mode):
            raise
        remove_tree(path)


def remove_tree(folder: Path) -> None:
    """Remove a folder that has a dot-name already, so that nobody looks for it; none there is fine.

    However deep: what lies two folders down is lifted up first, so that no path grows long and nothing recurs. Another
    process may be removing the same.

    Raises:
        NotADirectoryError: a link, or no folder, stands there; it is left.
        OSError: something in it cannot be removed; all else is gone.
    """
    try:
        with opened(folder, to_list=True) as top:
            problems = _emptied(top, folder)
    except FileNotFoundError:
        return
    if problems:
        raise problems[0]
    with contextlib.suppress(FileNotFoundError), around(folder) as (above, name):
        os.rmdir(name, dir_fd=above)


def _emptied(top: int, folder: Path) -> list[OSError]:
    """Remove all that is in an open folder; gives what was in the way of that."""
    problems: list[OSError] = []
    numbers = itertools.count()

    def empty(place: int, path: Path, is_top: bool) -> list[tuple[str, Path]]:
        """Remove a folder's files; gives its folders by their names at the top, lifted there, and where they were."""
        folders = []
        with os.scandir(place) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in found:
            try:
                with naming(path / name):
                    if not is_folder:
                        os.unlink(name, dir_fd=place)
                        continue
                    lifted = name if is_top else next(n for n in map(".{}".format, numbers) if not _is_in(top, n))
                    if not is_top:
                        os.rename(name, lifted, src_dir_fd=place, dst_dir_fd=top)
                    folders.append((lifted, path / name))
            except FileNotFoundError:
                pass
            except OSError as error:
                problems.append(error)
        return folders

    pending = empty(top, folder, is_top=True)
    while pending:
        name, path = pending.pop()
        try:
            with naming(path):
                try:
                    inner = os.open(name, _INNER, dir_fd=top)
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                        raise
                    os.unlink(name, dir_fd=top)  # it has just been exchanged for a link
                    continue
                try:
                    pending += empty(inner, path, is_top=False)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
        except FileNotFoundError:
            pass
        except OSError as error:
            problems.append(error)
    return problems


def _is_in(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def clear_away(folder: Path) -> None:
    """``remove_tree``, as far as it goes: what others keep from being removed is told, and left to the next time."""
    try:
        if is_there(folder):
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


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that has served its turn, unless something is in it."""
    with contextlib.suppress(OSError), around(folder) as (above, name):
        os.rmdir(name, dir_fd=above)


def discard(folder: Path, trash: Path) -> None:
    """Make a folder disappear in one rename, then remove it under the dot-folder ``trash`` on its file system.

    Raises:
        FileNotFoundError: it is gone.
        NotADirectoryError: a link, or no folder, stands in the place of the trash.
    """
    doomed = trash / folder.name
    with contextlib.suppress(OSError):  # what an earlier life has left there
        remove(doomed)
    if is_there(doomed):
        doomed = trash / f"{folder.name}-{secrets.token_hex(4)}"
    for tries_left in reversed(range(_TRIES)):
        try:
            ensure_folder(trash)
            move(folder, doomed)
            break
        except (FileExistsError, FileNotFoundError):  # another may have found the trash empty, and just removed it
            if not tries_left or not is_there(folder):
                raise
    try:
        remove(doomed)
    except OSError as error:
        log.warning("%s cannot be removed (%s): left for the next start", error.filename or doomed, error.strerror)
    remove_if_empty(trash)
