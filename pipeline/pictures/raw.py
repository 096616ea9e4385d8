"""What cameras call RAW: pictures that are not developed yet, known by what is in the file.

Many are TIFFs whose first directory is a thumbnail, which a reader of TIFFs takes for the picture.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL.TiffImagePlugin import PREFIXES, ImageFileDirectory_v2

from pipeline.pictures import boxes

# The first bytes of those that are no TIFFs, with where they stand.
MAGIC = {
    b"FUJIFILMCCD-RAW": (0, "Fujifilm RAF"),
    b"FOVb": (0, "Sigma X3F"),
    b"\0MRM": (0, "Minolta MRW"),
    b"HEAPCCDR": (6, "Canon CRW"),
    b"IIRO": (0, "Olympus ORF"),
    b"IIRS": (0, "Olympus ORF"),
    b"MMOR": (0, "Olympus ORF"),
    b"IIU\0": (0, "Panasonic RW2"),
    b"IIII": (0, "Phase One"),
    b"MMMM": (0, "Phase One"),
    b"ARRI": (0, "ARRIRAW"),
    b"RED1": (4, "REDCODE"),
    b"RED2": (4, "REDCODE"),
}
# What stands behind a TIFF's header in some; two letters alone may be pixels.
BEHIND_HEADER = {b"CR\2": "Canon CR2", b"IIIITwaR": "Phase One IIQ", b"MMMMRawT": "Phase One IIQ"}
SUBFILE_TYPE, WIDTH, HEIGHT, PHOTOMETRIC, MAKE, SUB_DIRECTORIES = 254, 256, 257, 262, 271, 330
LEAF, DNG_VERSION = 34310, 50706
REDUCED = 1  # a bit of the type
UNDEVELOPED = (32803, 34892)  # a colour filter array, or linear raw (DNG 1.7)
BIG_TIFF = 43
MAX_DIRECTORIES = 32
MAX_TAG_BYTES = 1 << 24  # of one directory


def what_raw(file: BinaryIO) -> str:
    """What a file is that holds a picture which is not developed, such as ``a RAW file (DNG)``; else nothing."""
    file.seek(0)
    head = file.read(16)
    kind = next((kind for magic, (at, kind) in MAGIC.items() if head[at:].startswith(magic)), "")
    if boxes.brand(file) == b"crx ":
        kind = "Canon CR3"
    elif head.startswith(tuple(PREFIXES)):
        kind = next((kind for magic, kind in BEHIND_HEADER.items() if head[8:].startswith(magic)), "")
        if not kind:
            with warnings.catch_warnings(), contextlib.suppress(Exception):
                # Pillow warns of, and raises, whatever its parsing runs into; reading the picture will tell.
                warnings.simplefilter("ignore")
                return _what_tiff(file, head)
    return kind and f"a RAW file ({kind})"


def _what_tiff(file: BinaryIO, head: bytes) -> str:
    header = head[: 16 if BIG_TIFF in head[2:4] else 8]
    directories = list(_directories(file, header))
    first, others = directories[0][0], directories[1:]
    if DNG_VERSION in first:
        return "a RAW file (DNG)"
    make = str(first.get(MAKE, "")).strip("\0 ").split(" ")[0]
    kind = f"a RAW file ({make.capitalize()})" if make.isalpha() else "a RAW file"
    if LEAF in first or any(directory.get(PHOTOMETRIC) in UNDEVELOPED for directory, _ in directories):
        return kind
    is_reduced = bool(first.get(SUBFILE_TYPE, 0) & REDUCED)
    size = _pixels(first)
    # What is not there is still on its way.
    if any(
        _pixels(other) > size or not len(other) for other, is_below in others if is_reduced or (is_below and len(other))
    ):
        return kind if make else "a TIFF that begins with a thumbnail of its picture"
    return ""


def _directories(file: BinaryIO, header: bytes) -> Iterator[tuple[Any, bool]]:
    """A TIFF's directories, each with whether it lies below the first."""
    start: Any = ImageFileDirectory_v2(header)
    pending = [(start.next, False)]
    for _ in range(MAX_DIRECTORIES):
        if not pending:
            return
        at, is_below = pending.pop(0)
        file.seek(at)
        directory: Any = ImageFileDirectory_v2(header)
        directory._tag_data_limit = MAX_TAG_BYTES  # as a hostile one may want the whole file
        directory.load(file)
        yield directory, is_below
        below = directory.get(SUB_DIRECTORIES, ())
        pending += [(place, True) for place in (below if isinstance(below, tuple) else (below,))]
        if directory.next and not is_below:
            pending.append((directory.next, False))


def _pixels(directory: Any) -> int:
    return int(directory.get(WIDTH, 0)) * int(directory.get(HEIGHT, 0))
