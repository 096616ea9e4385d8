"""The files of videos, as PyAV opens them.

FFmpeg may open nothing but the file that it is given, and knows no formats but those of ``FORMATS``: playlists and the
like name files and addresses of their own.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from pipeline.errors import ImageError, IncompleteImageError, short
from pipeline.pictures import boxes
from pipeline.pictures.completeness import may_be_on_its_way

if TYPE_CHECKING:
    from av.container import InputContainer

FORMATS = ("mov", "mp4", "m4a", "3gp", "matroska", "webm", "avi")
BUFFER_BYTES = 1 << 18
OF_A_FILM = (b"moov", b"moof", b"mdat")


class Handle:
    """A file for PyAV, which would take the number that Python calls a descriptor for a name.

    Of what the system refuses to write PyAV tells little: it is kept as ``fault``.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read, self.seek, self.tell = file.read, file.seek, file.tell
        self.fault: OSError | None = None

    def write(self, data: bytes) -> int:
        """As of any file."""
        try:
            return self._file.write(data)
        except OSError as error:
            self.fault = error
            raise


def opened(file: BinaryIO) -> InputContainer:
    """A video's container, whose errors are FFmpeg's."""
    import av

    file.seek(0)
    allowed = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": ""}
    return av.open(Handle(file), "r", options=allowed, buffer_size=BUFFER_BYTES)


@contextlib.contextmanager
def told(file: BinaryIO, name: str) -> Iterator[None]:
    """FFmpeg's errors as those of a video."""
    import av

    try:
        yield
    except av.error.FFmpegError as error:
        why = short(str(error.strerror or error))
        if breaks_off(file):
            raise IncompleteImageError(f"{name}: does not decode to its end ({why}).", "Copy the file again.") from None
        raise ImageError(f"{name}: no video that can be read ({why}).", "Save it again as MP4.") from None


def breaks_off(file: BinaryIO) -> bool:
    """Whether a file that cannot be read is shorter than it says, or lacks what it must have."""
    if not boxes.brand(file):
        return may_be_on_its_way(file, ran_out=False, image=None)
    return says_more(file) or not {b"moov", b"mdat"} <= {box.kind for box in boxes.boxes(file)}


def says_more(file: BinaryIO) -> bool:
    """Whether an MP4 ends within its index or its frames; what others have put behind them may be no box at all."""
    size = file.seek(0, io.SEEK_END)
    return bool(boxes.brand(file)) and any(box.end > size and box.kind in OF_A_FILM for box in boxes.boxes(file))
