"""The boxes of ISO base media files (ISO/IEC 14496-12), of which HEIC and AVIF consist."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

PADDING = (b"free", b"skip")
MAX_BOXES = 10_000  # on one level; a hostile file may have millions of empty ones


class Box(NamedTuple):
    """A box, which may say to end behind what there is of it."""

    kind: bytes
    start: int  # of what is in it
    end: int


def boxes(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes from one place to another, the end of the file if none is given, up to what is no box."""
    at = start
    end = file.seek(0, io.SEEK_END) if end is None else end
    for _ in range(MAX_BOXES):
        file.seek(at)
        header = file.read(min(16, max(0, end - at)))
        length, kind, inner = int.from_bytes(header[:4], "big"), header[4:8], at + 8
        if length == 1:
            length, inner = int.from_bytes(header[8:16], "big"), at + 16
        elif length == 0:  # as far as the file goes
            length = end - at
        if len(header) < 8 or length < inner - at or not (kind.isascii() and any(kind)):
            return
        yield Box(kind, inner, at + length)
        at += length


def content_end(file: BinaryIO) -> int | None:
    """Where an image's boxes end, padding left out; None if it lacks its index or its data, or a part of them."""
    size, end, kinds = file.seek(0, io.SEEK_END), 0, set()
    for box in boxes(file):
        if box.end > size:
            return None
        kinds.add(box.kind)
        end = end if box.kind in PADDING else box.end
    return end if kinds >= {b"meta", b"mdat"} else None


def brand(file: BinaryIO) -> bytes:
    """The major brand; empty if it is no such file."""
    file.seek(0)
    head = file.read(12)
    return head[8:12] if head[4:8] == b"ftyp" else b""
