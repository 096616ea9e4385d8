"""A folder of numbered frames as the content of a manifest: judged frame by frame, and copied as one file."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pipeline import storage
from pipeline.errors import EndlessImageError, ImageError, IncompleteImageError, JobError, short
from pipeline.inbox.places import Places
from pipeline.inbox.stability import Signature, Stability, signature_of
from pipeline.jobs import clips
from pipeline.manifest.model import Limits, Manifest
from pipeline.pictures import series
from pipeline.pictures.clips import Film
from pipeline.pictures.series import Numbered
from pipeline.storage import Slices

LOOK_SECONDS = 0.5  # that a look may spend on frames which nobody has decoded yet

Verify = Callable[[BinaryIO, str, Signature], Film]


class UnsettledError(Exception):
    """Frames are still coming, or have not all been looked at yet."""


@dataclass(frozen=True)
class Series:
    """The frames of a folder, in order, each as it was found; ``gap`` is a sentence where numbers are left out."""

    film: Film
    frames: list[Numbered]
    signatures: list[Signature] = field(default_factory=list)
    gap: str = ""


def is_asked_for(manifest: Manifest, places: Places) -> bool:
    """Whether the content of a manifest is a folder of frames, in the inbox or a library.

    Raises:
        ImageError: it is a folder, of which nobody has said that.
    """
    found = storage.follow_within(places.path(manifest.content), places.roots)
    is_folder = found is not None and stat.S_ISDIR(found.st_mode)
    if is_folder and not manifest.frames:
        raise ImageError(f"{manifest.content}: a folder.", "If it has numbered frames of a clip, say `frames: true`.")
    return is_folder


def verifier(limits: Limits) -> Verify:
    """What looks at a frame as soon as it is asked to, for who has no other work."""

    def verify(file: BinaryIO, name: str, _: Signature) -> Film:
        return clips.verify(file, name, limits.max_pixels, end_may_lack=True)

    return verify


def judged(
    places: Places,
    name: str,
    most: int,
    verify: Verify,
    files: Stability | None = None,
) -> Series:
    """The frames, when they are whole.

    Args:
        places: where they are.
        name: of their folder, as a manifest has it.
        most: frames; of more the first alone is looked at.
        verify: as ``clips.verify``, of a frame.
        files: by which they are at rest; None to take them as they are.

    Raises:
        UnsettledError: they are not, or there was no time to look at all.
        JobError: they are no clip.
        FileNotFoundError: the folder is not there, or one of them has just gone.
    """
    spent = 0.0  # seconds of decoding; what has been before takes none
    folder, names = _listed(places, name)
    frames = series.numbered(name, names)
    is_settled = files is None or _is_settled(files, folder)
    signatures: list[Signature] = []
    first: Film | None = None
    for frame in frames if len(frames) <= most else frames[:1]:
        with places.open(f"{name}/{frame.name}") as file:
            path, status = folder / frame.name, os.fstat(file.fileno())
            signatures.append(signature_of(status) if files is None else files.sight(path, status))
            is_settled = is_settled and (files is None or files.is_stable(path))
            if not is_settled:
                continue
            if files is not None and spent > LOOK_SECONDS:
                raise UnsettledError
            begun = time.monotonic()
            film = _whole(verify, file, f"{name}/{frame.name}", signatures[-1])
            spent += time.monotonic() - begun
            first = first or film
            if film[:2] != first[:2]:
                raise ImageError(
                    f"{name}: {short(frame.name)} has {film.width}×{film.height} pixels, {short(frames[0].name)}"
                    f" {first.width}×{first.height}; frames of a clip are of one size.",
                    "Save them alike, or put them into folders of their own.",
                )
    if first is None or not is_settled:
        raise UnsettledError
    film = Film(first.width, first.height, len(frames), 0.0, "series")
    return Series(film, frames, signatures, f"{name}: {gap}." if (gap := series.gap(frames)) else "")


def _whole(verify: Verify, file: BinaryIO, name: str, signature: Signature) -> Film:
    """A frame that lacks but its end is waited for like any that breaks off: where it is one of many, it is lost."""
    try:
        return verify(file, name, signature)
    except EndlessImageError as error:
        raise IncompleteImageError(error.message, error.advice) from None


def _listed(places: Places, name: str) -> tuple[Path, list[str]]:
    """Where a folder of frames is, links on the way to it resolved, and the names in it.

    Raises:
        JobError: it leads out of the inbox and the libraries.
    """
    try:
        return storage.names_within(places.path(name), places.roots)
    except storage.OutsideError:
        raise JobError(
            f"{name}: leads outside the inbox.", "Put the frames into the inbox, or name their folder with --library."
        ) from None
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, "not there", name) from error


def _is_settled(files: Stability, folder: Path) -> bool:
    found = storage.look(folder)
    if found is None or not stat.S_ISDIR(found.st_mode):
        raise UnsettledError
    files.sight(folder, found)
    return files.is_stable(folder)


def packed(places: Places, name: str, found: Series, target: Path) -> Slices[str]:
    """Copy the frames into one durable file (``pictures.series``); gives its SHA-256.

    Raises:
        UnsettledError: one has changed since it was judged.
    """
    digest = hashlib.sha256()
    with storage.create(target) as copy:

        def write(data: bytes) -> None:
            digest.update(data)
            with storage.naming(target):
                copy.write(data)

        for frame, signature in zip(found.frames, found.signatures, strict=True):
            with places.open(f"{name}/{frame.name}") as file:
                size = os.fstat(file.fileno()).st_size
                write(series.header(frame, size))
                while size > 0 and (chunk := file.read(min(size, storage.SLICE_BYTES))):
                    write(chunk)
                    size -= len(chunk)
                    yield
                if size or signature_of(os.fstat(file.fileno())) != signature:
                    raise UnsettledError
                write(bytes(-copy.tell() % series.BLOCK))
        write(series.END)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()
