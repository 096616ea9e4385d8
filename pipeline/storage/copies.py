"""Work on files of any size, a moment at a time: digests, durable copies."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, TypeVar

from pipeline.storage.files import create, open_file
from pipeline.storage.folders import around, entries, is_file, make_folder, naming, sync_folder

SLICE_BYTES = 1 << 20
_SLICES_A_SYNC = 16  # so that no sync takes long, the last one least

T = TypeVar("T")
# Work on a file of any size, a moment at a time, and what comes of it. A small file is done at once, so that whoever is
# told to end has not begun with many.
Slices = Generator[None, None, T]


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
    """Copy an open file to a new durable one; gives the SHA-256 of what was copied, in hexadecimal.

    What is added to it meanwhile is left out, so that nobody who goes on writing keeps it from an end.
    """
    digest = hashlib.sha256()
    left = os.fstat(source.fileno()).st_size - source.tell()
    with create(target) as file:
        for number in itertools.count(1):
            chunk = source.read(min(SLICE_BYTES, left))
            left -= len(chunk)
            digest.update(chunk)
            is_last = len(chunk) < SLICE_BYTES or not left
            with naming(target):
                file.write(chunk)
                if is_last or number % _SLICES_A_SYNC == 0:
                    file.flush()
                    os.fsync(file.fileno())
            if is_last:
                break
            yield
    return digest.hexdigest()


def copy_tree(source: Path, target: Path) -> Slices[None]:
    """Copy a file, or a folder's regular files, durably; links, pipes and devices stay behind."""
    if is_file(source):
        with open_file(source) as file:
            yield from copy_stream(file, target)
        return
    make_folder(target)
    for entry in entries(source):
        if entry.is_folder or entry.is_file:
            yield from copy_tree(entry.path, target / entry.name)
    sync_folder(target)


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file that is only ever replaced whole, or a copy where the file system has no links.

    Raises:
        OddError: it is no regular file.
        FileNotFoundError: it is not there.
    """
    with open_file(source) as file:
        if not link(source, target):
            at_once(copy_stream(file, target))


def link(source: Path, target: Path) -> bool:
    """Give what stands at a path a second name; False where the file system has none, or it is another one.

    Raises:
        FileNotFoundError: nothing is there.
        FileExistsError: the name is taken.
    """
    with around(source) as (there, name), around(target) as (here, its):
        try:
            os.link(name, its, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
        except (FileNotFoundError, FileExistsError):
            raise
        except OSError:  # a file system without links, or another one
            return False
    return True
