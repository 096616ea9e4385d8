"""The blocks of a GIF (https://www.w3.org/Graphics/GIF/spec-gif89a.txt), as Pillow passes over them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

COMMENT, APPLICATION = b"\xfe", b"\xff"


def corners(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """The lower right corner of each frame, in pixels from the upper left one of the whole."""
    file.seek(10)
    _pass_colors(file, behind=2)
    is_first = True
    while (kind := file.read(1)) not in (b"", b";"):
        if kind == b"!":
            label, block = file.read(1), _block(file)
            if label == APPLICATION and is_first and block.startswith(b"NETSCAPE2.0"):
                _block(file)
            while (block or label != COMMENT) and (block := _block(file)):
                pass
        elif kind == b",":
            left, top, width, height = struct.unpack("<4H", file.read(8).ljust(8, b"\0"))
            yield left + width, top + height
            is_first = False
            _pass_colors(file, behind=1)
            while _block(file):
                pass


def _block(file: BinaryIO) -> bytes:
    return file.read((file.read(1) or b"\0")[0])


def _pass_colors(file: BinaryIO, behind: int) -> None:
    """Go to so many bytes behind the table that a byte of flags announces."""
    flags = (file.read(1) or b"\0")[0]
    file.read((6 << (flags & 7) if flags & 0x80 else 0) + behind)
