"""Whether images and videos are whole, found out beside the loop, once for every version of a file."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, wait
from typing import BinaryIO

from pipeline.errors import ImageError
from pipeline.inbox.stability import Signature
from pipeline.jobs import clips
from pipeline.pictures.clips import MOST_FRAMES, Film

MOST_TIMES = 4 * MOST_FRAMES  # of the frames of films that are remembered: 128 MB
DECODE_SECONDS = 0.5  # that a look waits for an image; one of 200 megapixels takes several

_Asked = tuple[Signature, bool]  # of which file, and whether all frames of it


class BeingDecodedError(Exception):
    """Whether an image is whole is being found out; a later look tells."""


class Decoder:
    """Decodes one file at a time, and remembers what came of it.

    Args:
        max_pixels: larger images are refused.
        most: files that are remembered.
    """

    def __init__(self, max_pixels: int, most: int) -> None:
        self._max_pixels = max_pixels
        self._most = most
        self._decoded: dict[_Asked, Film | ImageError] = {}
        self._times = 0
        self._decoding: tuple[_Asked, Future[Film]] | None = None

    def film(self, file: BinaryIO, name: str, signature: Signature, may_be_animated: bool = False) -> Film:
        """``clips.verify``; errors as there.

        Raises:
            BeingDecodedError: it takes long; what runs is not to wait for that.
        """
        asked = signature, may_be_animated
        if asked not in self._decoded:
            if len(self._decoded) >= self._most or self._times > MOST_TIMES:
                self._decoded.clear()
                self._times = 0
            self._decode(file, name, asked)
        found = self._decoded[asked]
        if isinstance(found, ImageError):
            # As it was first raised: raised again and again it would carry every traceback along.
            raise found.untraced()
        return found

    def _decode(self, file: BinaryIO, name: str, asked: _Asked) -> None:
        if self._decoding is None:
            own = os.fdopen(os.dup(file.fileno()), "rb")  # which outlives the look
            found: Future[Film] = Future()
            # No executor's thread, for which Python waits at its end: a long film takes minutes.
            given = found, own, name, self._max_pixels, asked[1]
            threading.Thread(target=_verify, args=given, daemon=True).start()
            self._decoding = asked, found
        under_way, future = self._decoding
        wait([future], DECODE_SECONDS if under_way == asked else 0)
        if not future.done():
            raise BeingDecodedError
        self._decoding = None
        try:
            self._decoded[under_way] = film = future.result()
            self._times += len(film.times)
        except ImageError as error:
            self._decoded[under_way] = error.untraced()  # its traceback holds the pixels
        except Exception:
            if under_way == asked:  # else the look at that file will tell
                raise
        if under_way != asked:
            self._decode(file, name, asked)


def _verify(found: Future[Film], file: BinaryIO, name: str, max_pixels: int, may_be_animated: bool) -> None:
    try:
        with file:
            found.set_result(clips.verify(file, name, max_pixels, may_be_animated=may_be_animated))
    except BaseException as error:
        found.set_exception(error)
