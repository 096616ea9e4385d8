"""Numbered frames of a clip: which files of a folder they are, and the one file that a job keeps them in, a tar."""

from __future__ import annotations

import itertools
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import BinaryIO, NamedTuple

import numpy as np

from pipeline.errors import ImageError, short
from pipeline.pictures import images, suffixes
from pipeline.pictures.clips import ORDINARY_RATE, Filmed

SUFFIX = ".tar"
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})", re.DOTALL)


class Numbered(NamedTuple):
    """The name of a frame's file, and its number as it stands there."""

    name: str
    digits: str


def numbered(folder: str, names: Iterable[str]) -> list[Numbered]:
    """The frames among the names in a folder, in order: pictures that are called alike but for a number at the end.

    What is hidden, is no picture or has no number is none of them.

    Raises:
        ImageError: there are none, or two of a number, or of several clips.
    """
    found: dict[int, Numbered] = {}
    first, names = None, sorted(names)
    for name in names:
        match = _NUMBERED.fullmatch(os.path.splitext(name)[0])
        if name.startswith(".") or not suffixes.is_read(name) or match is None:
            continue
        before, digits = match[1].casefold(), match[2]
        first = first or (before, name)
        if before != first[0]:
            raise ImageError(
                f"{folder}: frames of more than one clip, such as {short(first[1])} and {short(name)}.",
                "Put each into a folder of its own.",
            )
        if (other := found.get(int(digits))) is not None:
            raise ImageError(
                f"{folder}: {short(other.name)} and {short(name)} have one number.", "Take one of them away."
            )
        found[int(digits)] = Numbered(name, digits)
    if not found:
        unread = [name for name in names if suffixes.is_unread(name)]
        raise ImageError(
            f"{folder}: no numbered frames in it, such as 0001.png.",
            f"{suffixes.told_unread(unread)}." if unread else "",
        )
    return [found[number] for number in sorted(found)]


def gap(frames: Iterable[Numbered]) -> str:
    """A sentence where numbers are left out, and not as regularly as by whoever painted each second one."""
    numbers = [int(frame.digits) for frame in frames]
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    missing = [before for before, step in zip(numbers, steps, strict=False) if step > min(steps)]
    return f"after frame {missing[0]} some are not there; the others are painted" if missing else ""


def header(frame: Numbered, size: int) -> bytes:
    """What stands in a tar before a frame of so many bytes."""
    info = tarfile.TarInfo(frame.digits + os.path.splitext(frame.name)[1].lower())
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def frames_of(file: BinaryIO, name: str, max_pixels: int) -> Iterator[Filmed]:
    """The frames of a tar as ``animations.frames_of``, with their alpha, as if there were 25 in a second."""
    for number, member in enumerate(_members(file, name)):
        try:
            picture = images.decoded(member.file, None, f"{name}/{member.name}", max_pixels)
        except tarfile.TarError as error:
            raise _damaged(name, error) from None
        levels = np.round(picture.rgb * 255.0).astype(np.uint8)
        yield Filmed(Fraction(number) / ORDINARY_RATE, levels, picture.alpha)


def numbers(file: BinaryIO, name: str) -> Iterator[str]:
    """The numbers of the frames of a tar, as they stood in their names."""
    for member in _members(file, name):
        yield os.path.splitext(member.name)[0]


class _Member(NamedTuple):
    name: str
    file: BinaryIO


def _members(file: BinaryIO, name: str) -> Iterator[_Member]:
    """What is in a tar, one after another.

    Raises:
        ImageError: it is none that we have made.
    """
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                tar.members.clear()  # type: ignore[attr-defined]  # which it would keep of all
                member = tar.extractfile(info)
                if member is None or not re.fullmatch(r"[0-9]{1,18}\.[a-z]{1,8}", info.name):
                    raise ImageError(f"{name}: its copy holds what is no frame.", "Drop the job again.")
                yield _Member(info.name, member)  # type: ignore[arg-type]
    except tarfile.TarError as error:
        raise _damaged(name, error) from None


def _damaged(name: str, error: tarfile.TarError) -> ImageError:
    return ImageError(f"{name}: its copy is damaged ({error}).", "Drop the job again.")
