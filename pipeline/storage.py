"""Files that are whole or not there: atomic writes, durable copies, moves, removals in one rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, BinaryIO

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
