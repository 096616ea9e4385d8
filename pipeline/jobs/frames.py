"""The painted frames of a clip, ``frame-000012.png`` in its attempt's folder, each with what is told of it in itself.

So a frame and its row are there together or not at all.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline import storage
from pipeline.jobs.fields import LossValue, Number, Seconds, Text, read_json
from pipeline.manifest.fields import Model
from pipeline.pictures import images
from pipeline.pictures.clips import Levels

_PREFIX, _ROW, _VALID_WITH = "frame-", "row", "valid with"
MOST_BYTES = 1 << 30  # of a frame
_LEVEL = 1  # of compression: paint hardly shrinks


class FrameRow(Model):
    """A painted frame: when it is shown, in seconds, its scene from 1, its last step's losses, and how it follows those
    before it (``pipeline.engine.sequence``): ``trusted`` is the part of its pixels that were found in them."""

    frame: Number
    time: Seconds
    scene: Number
    steps: Number
    total: LossValue
    content: LossValue
    style: LossValue
    total_variation: LossValue
    temporal: LossValue
    trusted: Seconds
    flicker: LossValue | None  # None of a scene's first
    seconds: Seconds


def save(folder: Path, row: FrameRow, levels: Levels, valid_with: Text) -> None:
    """Keep a frame, RGB ``[H, W, 3]``."""
    said = PngInfo()
    said.add_text(_ROW, row.model_dump_json())
    said.add_text(_VALID_WITH, valid_with)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG", pnginfo=said, compress_level=_LEVEL)
    storage.write_atomic(_path(folder, row.frame), buffer.getvalue())


def read(folder: Path, valid_with: str, size: tuple[int, int], first: int = 1) -> list[FrameRow]:
    """The rows of the frames that are there, from one on, up to the first that is not, or that was made otherwise.

    Args:
        folder: of the attempt.
        valid_with: a fingerprint.
        size: width and height that they have.
        first: of the part of a clip that is painted there.
    """
    rows: list[FrameRow] = []
    while row := _row(_path(folder, first + len(rows)), valid_with, size):
        if row.frame != first + len(rows):
            break
        rows.append(row)
    return rows


def picture(folder: Path, number: int) -> Levels:
    """A frame, RGB ``[H, W, 3]``.

    Raises:
        ImageError: it is damaged, or gone.
    """
    return np.asarray(images.own(_path(folder, number), MOST_BYTES).convert("RGB"))


def files(folder: Path) -> list[Path]:
    """The frames in a folder, in order."""
    try:
        names = storage.names(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(names) if name.startswith(_PREFIX) and name.endswith(".png")]


def _path(folder: Path, number: int) -> Path:
    return folder / f"{_PREFIX}{number:06}.png"


def _row(path: Path, valid_with: str, size: tuple[int, int]) -> FrameRow | None:
    try:
        with storage.open_file(path, MOST_BYTES) as file, Image.open(file, formats=["PNG"]) as image:
            if image.size != size or image.info.get(_VALID_WITH) != valid_with:
                return None
            image.load()  # a frame is whole, or painted again
            return read_json(FrameRow, str(image.info[_ROW]).encode())
    except Exception:  # whatever Pillow and JSON run into: the frame is painted again
        return None
