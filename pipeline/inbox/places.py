"""Where an image that a manifest names lies, and opening it so that no link leads elsewhere."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import JobError


@dataclass(frozen=True)
class Places:
    """The one answer to where the images of a manifest are: for the inbox, for `check`, for the patterns of a sweep.

    Args:
        inbox: the folder of all drops.
        folder: what the manifest's paths are relative to.
        libraries: further folders, where what is not beside the manifest is looked for.
        is_job_folder: whether ``folder`` is a drop as a whole. A claim moves it, but what lies around it stays.
    """

    inbox: Path
    folder: Path
    libraries: tuple[Path, ...] = ()
    is_job_folder: bool = False

    def path(self, image: str) -> Path:
        """Where an image is, or would be."""
        beside = self.folder / image
        inner = os.path.normpath(image)
        if self.is_job_folder and Path(inner).parts[:1] == ("..",):
            beside = Path(os.path.normpath(self.inbox / "job" / inner))
        places = [beside, *(library / image for library in self.libraries)]
        return next((place for place in places if os.path.lexists(place)), beside)

    @contextlib.contextmanager
    def open(self, image: str) -> Iterator[BinaryIO]:
        """An image, open for reading; errors as ``open_inside``."""
        with open_inside(self.path(image), [self.inbox, *self.libraries, self.folder], image) as file:
            yield file


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
