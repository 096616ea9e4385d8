"""Whether an image file that does not decode may still be on its way, or will never be read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import Image, ImageFile

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
    if any(_gaps(file)):
        return True
    if head.startswith(b"RIFF"):
        return size < 8 + int.from_bytes(head[4:8], "little")
    if head[4:8] == b"ftyp":
        return not _has_all_boxes(file, size)
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
    head = file.read(8)
    end = file.seek(0, io.SEEK_END)
    if head.startswith(b"RIFF"):
        end = min(end, 8 + int.from_bytes(head[4:], "little"))
    file.seek(max(0, end - 16))
    return not any(file.read(16))


def _gaps(file: BinaryIO) -> Iterator[bool]:
    """For each block, and for the end, whether it is all zeros, as what reserves a file first leaves them."""
    file.seek(0)
    end = b""
    while block := file.read(BLOCK):
        yield len(block) == BLOCK and not any(block)
        end = (end + block)[-16:]
    yield not any(end)


def _has_all_boxes(file: BinaryIO, size: int) -> bool:
    """Whether an ISO base media file (AVIF, HEIF; ISO/IEC 14496-12) has its index, its data, and ends with a box."""
    at, kinds = 0, set()
    while at < size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:
            return False
        kinds.add(header[4:8])
        at += length
    return at == size and kinds >= {b"meta", b"mdat"}


def _end_of_strips(image: Any) -> int:
    """Where the pixels of a TIFF end."""
    for offsets, counts in TIFF_OFFSETS_AND_COUNTS:
        if offsets in image.tag_v2 and counts in image.tag_v2:
            return max(map(sum, zip(image.tag_v2[offsets], image.tag_v2[counts], strict=False)), default=0)
    return 0
