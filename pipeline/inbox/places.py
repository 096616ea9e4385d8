"""Where an image that a manifest names lies, and opening it so that no link leads elsewhere."""

from __future__ import annotations

import contextlib
import difflib
import errno
import functools
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline import storage
from pipeline.errors import JobError, short
from pipeline.inbox import foreign_paths
from pipeline.manifest.names import folded
from pipeline.pictures import suffixes


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

    @property
    def roots(self) -> list[Path]:
        """The folders, in one of which an image has to be."""
        return [self.inbox, *self.libraries, self.folder]

    def path(self, image: str) -> Path:
        """Where an image is, or would be."""
        beside = self.folder / image
        inner = os.path.normpath(image)
        if self.is_job_folder and Path(inner).parts[:1] == ("..",):
            beside = Path(os.path.normpath(self.inbox / "job" / inner))
        places = [beside, *(library / image for library in self.libraries)]
        there = (place for place in places if os.path.lexists(place))
        found = next(there, None) or next(filter(None, map(_but_for_case, places)), None)
        if found is None and "\\" in image:  # as Windows writes it; here a backslash is a letter like others
            found = self.path(image.replace("\\", "/"))
            found = found if os.path.lexists(found) else None
        return found or beside

    def missing(self, image: str) -> str:
        """A sentence on an image that is not there, with the one that may have been meant."""
        near = self.path(image).parent
        near = Path(os.path.realpath(near))
        folders = [near] if any(near.is_relative_to(os.path.abspath(root)) for root in self.roots) else []
        meant = _nearest(Path(image).name, tuple(name for folder in folders for name in _photos(folder)))
        if meant:
            return f"{image} is missing; did you mean {Path(image).with_name(meant)}?"
        parts = [part for part in re.split(r"\s*[,;&+]\s*", image) if part]
        if len(parts) > 1 and all(storage.follow_within(self.path(part), self.roots) for part in parts):
            return f"{image} is missing; did you mean several, as in [{', '.join(parts)}]?"
        if Path(image).parts[1:] and os.path.lexists(self.path(Path(image).name)):
            return f"{image} is missing; did you mean {Path(image).name}?"
        meant = _nearest(Path(image).name, tuple(name for library in self.libraries for name in _photos(library)))
        return f"{image} is missing; did you mean {meant}?" if meant else f"{image} is missing"

    @contextlib.contextmanager
    def open(self, image: str) -> Iterator[BinaryIO]:
        """An image, open for reading; errors as ``open_inside``.

        Raises:
            JobError: also where it is not there and will not come, as the path is one of another machine.
        """
        path = self.path(image)
        if not os.path.lexists(path) and (kind := foreign_paths.kind(image)):
            raise JobError(f"{short(image)}: {kind[0]}.", kind[1])
        with open_inside(path, self.roots, image) as file:
            yield file


def _but_for_case(path: Path) -> Path | None:
    """The one file whose path differs in case, in how Unicode composes its letters, or in the kind of space, only."""
    here = Path(path.anchor)
    for part in path.parts[len(here.parts) :]:
        if not os.path.lexists(here / part):
            alike = _listed(Path(os.path.realpath(here)), _second()).get(folded(part), ())
            if len(alike) != 1:
                return None
            part = alike[0]
        here /= part
    return here


def _photos(folder: Path) -> tuple[str, ...]:
    names = (name for alike in _listed(folder, _second()).values() for name in alike)
    return tuple(filter(suffixes.is_read, names))


@functools.lru_cache(maxsize=10_000)
def _nearest(name: str, names: tuple[str, ...]) -> str | None:
    stems: dict[str, list[str]] = {}
    for one in names:
        if not one.startswith("."):
            stems.setdefault(Path(one).stem.casefold(), []).append(one)
    stem = Path(name).stem.casefold()[:100]
    if not (found := difflib.get_close_matches(stem, stems, n=1, cutoff=0.75)):
        return None
    return max(stems[found[0]], key=lambda one: difflib.SequenceMatcher(None, one.casefold(), name.casefold()).ratio())


@functools.lru_cache(maxsize=100)
def _listed(folder: Path, _: int) -> Mapping[str, tuple[str, ...]]:
    """The names in a folder by what they have in common but for case; listed once in a second, as thousands may ask."""
    try:
        names = storage.names(folder)
    except OSError:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        found[folded(name)] = (*found.get(folded(name), ()), name)
    return found


def _second() -> int:
    return int(time.monotonic())


@contextlib.contextmanager
def open_inside(path: Path, roots: list[Path], name: str) -> Iterator[BinaryIO]:
    """``storage.open_within``, for the file that a person calls ``name``.

    Raises:
        JobError: it leads out of the roots, or is no regular file.
        FileNotFoundError: it, or a folder on the way, is not there (or has just become a link).
    """
    try:
        file = storage.open_within(path, roots)
    except storage.OutsideError:
        raise JobError(
            f"{name}: leads outside the inbox.", "Put the image into the inbox, or name its folder with --library."
        ) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise FileNotFoundError(errno.ENOENT, "not there", str(path)) from error
        if isinstance(error, storage.OddError):
            raise JobError(f"{name}: {error.strerror}, not an image file.") from None
        if error.errno == errno.ENAMETOOLONG:
            raise JobError(f"{name}: not a path of an image file ({error.strerror}).") from None
        raise
    with file:
        yield file
