"""The chunks of a PNG (https://www.w3.org/TR/png-3/)."""

from __future__ import annotations

import bisect
import io
import itertools
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple, cast

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
MAX_INFLATED = 1 << 20  # bytes of a text or profile; Pillow reads no PNG with more (MAX_TEXT_CHUNK)
MAX_PROFILE = 16 << 20  # bytes; those of scanners and printers have some megabytes
MAX_TEXTS = 32 << 20  # bytes of all of a file's, inflated; Pillow allows 64 MiB
MAX_CHUNKS = 1_000_000
MAX_LOOKED_INTO = 64  # texts that are left out; of more none is inflated: a kilobyte may say a megabyte


class Chunk(NamedTuple):
    """A chunk, which may say to end behind what there is of it."""

    kind: bytes
    start: int  # of its data
    end: int


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks of a file that begins as a PNG, the last of a whole one being ``IEND``; none of any other file."""
    file.seek(0)
    at = len(SIGNATURE)
    if file.read(at) != SIGNATURE:
        return
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        header = file.read(8)
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if len(header) < 8 or not kind.isalpha():
            return
        yield Chunk(kind, at + 8, at + 8 + length)
        if kind == b"IEND":
            return
        at += 12 + length


def end(file: BinaryIO) -> int | None:
    """Where a PNG ends; None if its end is not there."""
    size = file.seek(0, io.SEEK_END)
    found = next((chunk.end + 4 for chunk in chunks(file) if chunk.kind == b"IEND"), None)
    return found if found is not None and found <= size else None


def data(file: BinaryIO, kind: bytes, most: int = MAX_INFLATED) -> bytes:
    """What is in the first chunk of a kind before the pixels, if it is no longer than that; else nothing."""
    for chunk in chunks(file):
        if chunk.kind == b"IDAT":
            break
        if chunk.kind == kind and chunk.end - chunk.start <= most:
            file.seek(chunk.start)
            return file.read(chunk.end - chunk.start)
    return b""


def profile(file: BinaryIO) -> bytes:
    """The colour profile, of any size that one may have; nothing if there is none, or a damaged one."""
    _, _, compressed = data(file, b"iCCP", MAX_PROFILE).partition(b"\0")
    return _inflated(compressed[1:], MAX_PROFILE) or b""


def without_long_texts(file: BinaryIO) -> BinaryIO:
    """The file as Pillow reads it: without texts and profiles for which it would refuse the picture."""
    left_out: list[Chunk] = []
    texts = 0
    for chunk in chunks(file):
        if chunk.kind in TEXTS:
            length = _inflated_length(file, chunk) if len(left_out) < MAX_LOOKED_INTO else None
            if length is None or texts + length > MAX_TEXTS:
                left_out.append(chunk)
            else:
                texts += length
    return cast("BinaryIO", _Spliced(file, left_out)) if left_out else file


def _inflated_length(file: BinaryIO, chunk: Chunk) -> int | None:
    """How long what a chunk says is once it is inflated; None if that is too long."""
    length = chunk.end - chunk.start
    if chunk.kind == b"tEXt" or length > MAX_TEXTS:
        return length
    file.seek(chunk.start)
    _, _, rest = file.read(length).partition(b"\0")
    if chunk.kind == b"iTXt":
        if rest[:1] != b"\1":  # not compressed
            return length
        rest = b"\0" + rest[2:].split(b"\0", 2)[-1]
    inflated = _inflated(rest[1:], MAX_INFLATED)
    return None if inflated is None else len(inflated)


def _inflated(compressed: bytes, most: int) -> bytes | None:
    """What was compressed; None if it is longer than that, nothing if it is damaged."""
    inflate = zlib.decompressobj()
    try:
        found = inflate.decompress(compressed, most)
    except zlib.error:
        return b""
    return None if inflate.unconsumed_tail else found


class _Spliced(io.RawIOBase):
    """A file without some of its chunks; for reading."""

    def __init__(self, file: BinaryIO, left_out: Sequence[Chunk]) -> None:
        self._file = file
        parts = []
        at, size = 0, file.seek(0, io.SEEK_END)
        for chunk in left_out:
            parts.append((at, chunk.start - 8))
            at = min(size, chunk.end + 4)
        parts.append((at, size))
        self._parts = [(start, end) for start, end in parts if start < end]
        lengths = (end - start for start, end in self._parts)
        *self._begins, self._size = itertools.accumulate(lengths, initial=0)  # of the parts, in what is read
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """As of any file."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        wanted = self._size - self._at if size < 0 else min(size, self._size - self._at)
        found = []
        number = bisect.bisect_right(self._begins, self._at) - 1
        while wanted > 0:
            (start, end), inner = self._parts[number], self._at - self._begins[number]
            self._file.seek(start + inner)
            block = self._file.read(min(wanted, end - start - inner))
            if not block:  # the file has become shorter
                break
            found.append(block)
            self._at += len(block)
            wanted -= len(block)
            number += self._at == self._begins[number] + end - start
        return b"".join(found)
