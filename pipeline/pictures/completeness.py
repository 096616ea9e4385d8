"""Whether an image file that does not decode may still be on its way, or will never be read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from pipeline.pictures import boxes, png

BLOCK = 4096  # bytes; what copying tools write is a multiple of it
TIFF_OFFSETS_AND_COUNTS = ((273, 279), (324, 325))  # of strips, of tiles


class Watched:
    """A file that knows whether more was asked of it than it has; for reading."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.ran_out = False

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        data = self._file.read(size)
        # Decoders ask for a large block at a time, whatever is left of the file; what is smaller they need.
        if size > 0 and (not data or len(data) < size < ImageFile.MAXBLOCK):
            self.ran_out = True
        return data

    def close(self) -> None:
        """An image that is closed, for its memory, leaves the file open."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def may_be_on_its_way(file: BinaryIO, ran_out: bool, image: Image.Image | None) -> bool:
    """Whether a file that does not decode is shorter than it says, or has parts that nobody has written yet.

    Where a format leaves it open, it may.

    Args:
        file: its bytes.
        ran_out: whether the decoder asked for more than there is.
        image: as far as it could be opened; None if not even its header could be read.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(16)
    if len(head) < 16 or not any(head):
        return True
    if head.startswith(b"BM"):
        # Its header comes first, so that zeros behind it are black, and may say the size wrongly, though not by chance.
        return ran_out and int.from_bytes(head[2:6], "little") != size
    end = _said_end(file, head)
    if any(_gaps(file, size if end is None else end)):
        return True
    if head.startswith(b"RIFF"):
        return size < 8 + int.from_bytes(head[4:8], "little")
    if head[4:8] == b"ftyp":
        return end is None
    if image is not None and image.format == "TIFF":
        return ran_out or size < _end_of_strips(image)
    return ran_out


def ends_unwritten(file: BinaryIO, image: Image.Image) -> bool:
    """Whether an image that decodes has zeros where its format never ends in them.

    Decoders of these formats take zeros for data. Of uncompressed ones nobody can tell what is black.
    """
    if image.format not in ("PNG", "WEBP", "AVIF", "HEIF"):
        return False
    file.seek(0)
    end = _said_end(file, file.read(16)) or file.seek(0, io.SEEK_END)
    file.seek(max(0, end - 16))
    return not any(file.read(min(end, 16)))


def lacks_end(file: BinaryIO, image: Image.Image) -> bool:
    """Whether an image that decodes breaks off behind its pixels, or its first frame's, where its format has an end."""
    return (image.format == "PNG" and png.end(file) is None) or (image.format == "GIF" and not _has_trailer(file))


def _has_trailer(file: BinaryIO) -> bool:
    """Whether a GIF goes on to its end (https://www.w3.org/Graphics/GIF/spec-gif89a.txt)."""
    file.seek(10)
    _pass_colors(file, behind=2)
    while (kind := file.read(1)) in (b"!", b","):
        if kind == b",":
            file.seek(8, io.SEEK_CUR)
            _pass_colors(file, behind=1)
        else:
            file.seek(1, io.SEEK_CUR)
        while (length := file.read(1)) not in (b"\0", b""):
            file.seek(length[0], io.SEEK_CUR)
    return kind == b";"


def _pass_colors(file: BinaryIO, behind: int) -> None:
    """Go to where the table ends that a byte of flags announces so many bytes before it."""
    flags = (file.read(1) or b"\0")[0]
    file.seek(behind + (6 << (flags & 7) if flags & 0x80 else 0), io.SEEK_CUR)


def _said_end(file: BinaryIO, head: bytes) -> int | None:
    """Where a file ends by what its format says; None if it does not say, or if that is not there."""
    size = file.seek(0, io.SEEK_END)
    if head.startswith(b"RIFF"):
        end = 8 + int.from_bytes(head[4:8], "little")
        return end if end <= size else None
    return boxes.content_end(file) if head[4:8] == b"ftyp" else png.end(file)


def _gaps(file: BinaryIO, end: int) -> Iterator[bool]:
    """For each block up to ``end``, and for that, whether it is zeros, as what reserves a file first leaves them."""
    file.seek(0)
    last = b""
    while block := file.read(min(BLOCK, end - file.tell())):
        yield len(block) == BLOCK and not any(block)
        last = (last + block)[-16:]
    yield not any(last)


def _end_of_strips(image: Any) -> int:
    """Where the pixels of a TIFF end."""
    for names in TIFF_OFFSETS_AND_COUNTS:
        if all(name in image.tag_v2 for name in names):
            strips = zip(*(image.tag_v2[name] for name in names), strict=False)
            return max((sum(strip) for strip in strips if all(type(number) is int for number in strip)), default=0)
    return 0
