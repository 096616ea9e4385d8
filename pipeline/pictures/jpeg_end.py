"""JPEGs that lack their end marker alone, as after a copy that broke off there."""

from __future__ import annotations

import hashlib
import io
from typing import IO, Any, BinaryIO, cast

from PIL import Image

END = b"\xff\xd9"
UNWRITTEN = bytes(16)
_CHANCE = [hashlib.sha512(bytes([number])).digest().replace(b"\xff", b"") for number in range(16)]
# More of a scan, as by chance: some, as one may look like what is lacking, and one that goes on at any restart marker.
FILLERS = [*_CHANCE[:4], b"".join(b"\xff%c" % (0xD0 + n % 8) + one for n, one in enumerate(_CHANCE))]
ROWS = 256  # hashed at a time


def decoded_without_end(file: BinaryIO) -> Image.Image | None:
    """A JPEG that lacks its end marker alone, decoded; None if more of it is lacking.

    Behind a whole scan the decoder passes over what is no marker; where a part is lacking it takes that for pixels.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - len(UNWRITTEN)))
    last = file.read()
    if last == UNWRITTEN:  # which the decoder takes for pixels
        return None
    has_half = last[-1:] == END[:1]  # of the marker, or of a byte of the scan, behind which a zero stands
    before, digests = b"\0" if has_half else b"", set()
    try:
        for filler in FILLERS:  # one in memory at a time
            with _decoded(file, before + filler + END) as image:
                digests.add(_digest(image))
            if len(digests) > 1:
                return None
        image = _decoded(file, END[1:] if has_half else END)
    except Exception:  # Pillow raises whatever its parsing runs into
        return None
    return image if _digest(image) in digests else None


def _decoded(file: BinaryIO, tail: bytes) -> Image.Image:
    image = Image.open(cast("IO[bytes]", _Continued(file, tail)), formats=["JPEG"])
    image.load()
    return image


def _digest(image: Image.Image) -> bytes:
    found = hashlib.sha256()
    for top in range(0, image.height, ROWS):
        found.update(image.crop((0, top, image.width, min(image.height, top + ROWS))).tobytes())
    return found.digest()


class _Continued:
    """A file with more behind its end; for reading."""

    def __init__(self, file: BinaryIO, tail: bytes) -> None:
        self._file = file
        self._tail = self._left = tail

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        self._left = self._tail
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        data = self._file.read(size)
        if not data:
            data, self._left = self._left, b""
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
