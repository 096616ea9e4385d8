"""The boxes of ISO base media files (ISO/IEC 14496-12), of which HEIC and AVIF consist."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

PADDING = (b"free", b"skip")
MAX_ASSOCIATIONS = 1 << 20  # bytes
OF_A_TRACK = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
# Where a film's tables lie, and the bytes before their number of samples.
TABLES = {(*OF_A_TRACK, b"stsz"): 8, (*OF_A_TRACK, b"stz2"): 8, (b"moof", b"traf", b"trun"): 4}
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


def samples(file: BinaryIO) -> Iterator[int]:
    """How many samples, such as frames, the tables of a film say to have, one after another."""
    for path, before in TABLES.items():
        for box in _inside(file, path):
            file.seek(box.start + before)
            yield int.from_bytes(file.read(4), "big")


def _inside(file: BinaryIO, path: tuple[bytes, ...], start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes of a kind, which lie in others."""
    kind, *rest = path
    for box in boxes(file, start, end):
        if box.kind == kind and rest:
            yield from _inside(file, tuple(rest), box.start, box.end)
        elif box.kind == kind:
            yield box


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


def color_of_primary(file: BinaryIO) -> tuple[int, int] | None:
    """The code points of primaries and transfer function (ITU-T H.273) in the primary picture's ``nclx``, if any."""
    meta = next((box for box in boxes(file) if box.kind == b"meta"), None)
    found = {box.kind: box for box in boxes(file, meta.start + 4, meta.end)} if meta else {}
    if b"iprp" not in found:
        return None
    of_properties = {box.kind: box for box in boxes(file, *found[b"iprp"][1:])}
    properties = list(boxes(file, *of_properties[b"ipco"][1:])) if b"ipco" in of_properties else []
    own = _properties_of_primary(file, found.get(b"pitm"), of_properties.get(b"ipma"))
    # A picture of tiles may have it on those alone.
    for box in [properties[index] for index in own if index < len(properties)] + properties:
        if box.kind == b"colr":
            file.seek(box.start)
            data = file.read(8)
            if data[:4] == b"nclx":
                return int.from_bytes(data[4:6], "big"), int.from_bytes(data[6:8], "big")
    return None


def _properties_of_primary(file: BinaryIO, primary: Box | None, associations: Box | None) -> list[int]:
    """The places of the primary item's properties among all."""
    if primary is None or associations is None:
        return []
    file.seek(primary.start)
    wanted = file.read(8)
    item = int.from_bytes(wanted[4 : 8 if wanted[0] else 6], "big")
    file.seek(associations.start)
    data = io.BytesIO(file.read(min(associations.end - associations.start, MAX_ASSOCIATIONS)))
    version, _, _, flags = data.read(4)
    for _ in range(min(int.from_bytes(data.read(4), "big"), MAX_ASSOCIATIONS)):
        number = int.from_bytes(data.read(4 if version else 2), "big")
        count = int.from_bytes(data.read(1), "big")
        width = 2 if flags & 1 else 1
        indices = [int.from_bytes(data.read(width), "big") & (0x7FFF if width == 2 else 0x7F) for _ in range(count)]
        if number == item:
            return [index - 1 for index in indices if index]
    return []
