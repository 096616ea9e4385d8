"""Pictures as files: PNG, JPEG, WebP and TIFF, with what they say of themselves; animations of several."""

from __future__ import annotations

import dataclasses
import io
import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo, putchunk
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from pipeline.errors import ImageError
from pipeline.pictures import images
from pipeline.pictures.images import Picture
from pipeline.pictures.metadata import XMP_TAG, Metadata

SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
FRAME_MILLISECONDS = 100
LAST_MILLISECONDS = 3000
MAX_FRAMES = 100
MAX_FRAME_SIDE = 1024  # pixels
METRES_PER_INCH = 0.0254
STRIP_ROWS = 256  # that are worked on at a time
_MAX_SEGMENT = 65_000  # bytes of a JPEG's metadata

Levels = npt.NDArray[Any]  # uint8 or uint16 [H, W, 3], or [H, W, 4] with alpha


def encode(picture: Picture, output_format: str, depth: int = 8, metadata: Metadata | None = None) -> bytes:
    """A picture as a file.

    Args:
        picture: with or without alpha, which JPEG leaves out.
        output_format: ``png``, ``jpeg``, ``webp`` or ``tiff``.
        depth: bits a channel, 8 or, for PNG and TIFF, 16; rounded to the nearest level.
        metadata: what the file says of itself; a JPEG says how it was made only where that is not too long for one.
    """
    pixels = levels(picture, depth, with_alpha=output_format != "jpeg")
    if output_format == "tiff":
        return _tiff(pixels, metadata)
    if output_format == "png" and depth == 16:
        return _png_of_16_bits(pixels, metadata)
    options: dict[str, dict[str, Any]] = {
        "png": {"compress_level": 6},
        "jpeg": {"quality": 95, "subsampling": 0},
        "webp": {"quality": 95, "method": 4},
    }
    told: dict[str, Any] = {}
    if metadata and output_format == "png":
        told = {"pnginfo": _png_texts(metadata), "exif": metadata.exif()}
    elif metadata:
        if output_format == "jpeg" and len(metadata.xmp()) > _MAX_SEGMENT:
            metadata = dataclasses.replace(metadata, made={})
        told = {"exif": metadata.exif(), "xmp": metadata.xmp()}
    if metadata and metadata.dpi:
        told["dpi"] = (metadata.dpi, metadata.dpi)  # which a WebP has in its EXIF alone
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, output_format, **options[output_format], **told)
    return buffer.getvalue()


def animation(frames: Sequence[Path], last: Picture) -> bytes:
    """Pictures one after another as an animated WebP, which stays on the last for a while and starts over.

    Args:
        frames: files; of ``MAX_FRAMES`` and more some are left out, and those that are damaged.
        last: of that shape too; all are scaled down to ``MAX_FRAME_SIDE``.
    """
    chosen = frames[:: len(frames) // MAX_FRAMES + 1]
    ending = _scaled(Image.fromarray(levels(last)))
    first, *others = [frame for path in chosen if (frame := _frame(path)) and frame.size == ending.size] + [ending]
    durations = [FRAME_MILLISECONDS] * len(others) + [LAST_MILLISECONDS]
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=80, method=4)
    return buffer.getvalue()


def _frame(path: Path) -> Image.Image | None:
    try:
        return _scaled(images.own(path))
    except ImageError:
        return None


def _scaled(image: Image.Image) -> Image.Image:
    image.thumbnail((MAX_FRAME_SIDE, MAX_FRAME_SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
    image.load()
    return image


def levels(picture: Picture, depth: int = 8, with_alpha: bool = True) -> Levels:
    """A picture in integers, as ``encode`` has them; in strips, as a print's floats are gigabytes."""
    kind: Any = np.uint16 if depth == 16 else np.uint8
    top = np.iinfo(kind).max
    has_alpha = picture.alpha is not None and with_alpha
    height, width = picture.rgb.shape[:2]
    found = np.empty([height, width, 3 + has_alpha], kind)
    for start in range(0, height, STRIP_ROWS):
        rows = slice(start, start + STRIP_ROWS)
        found[rows, :, :3] = np.rint(np.clip(picture.rgb[rows], 0.0, 1.0) * np.float32(top))
        if picture.alpha is not None and with_alpha:
            found[rows, :, 3] = picture.alpha[rows].astype(kind) * kind(top // 255)
    return found


def _png_texts(metadata: Metadata) -> PngInfo:
    texts = PngInfo()
    for name, text in {"Software": metadata.software, **metadata.made}.items():
        texts.add_text(name, text)
    texts.add_itxt("XML:com.adobe.xmp", metadata.xmp().decode())
    return texts


def _png_of_16_bits(pixels: Levels, metadata: Metadata | None) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write (https://www.w3.org/TR/png-3/)."""
    height, width, channels = pixels.shape
    buffer = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    buffer.seek(0, io.SEEK_END)
    putchunk(buffer, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6 if channels == 4 else 2, 0, 0, 0))
    if metadata:
        if metadata.dpi:
            metre = round(metadata.dpi / METRES_PER_INCH)
            putchunk(buffer, b"pHYs", struct.pack(">IIB", metre, metre, 1))
        for kind, data, *_ in _png_texts(metadata).chunks:
            putchunk(buffer, kind, data)
        putchunk(buffer, b"eXIf", metadata.exif().tobytes()[6:])
    squeeze = zlib.compressobj(6)
    for row in _filtered(pixels):
        if squeezed := squeeze.compress(row):
            putchunk(buffer, b"IDAT", squeezed)
    putchunk(buffer, b"IDAT", squeeze.flush())
    putchunk(buffer, b"IEND", b"")
    return buffer.getvalue()


def _filtered(pixels: Levels) -> Iterator[bytes]:
    """The rows of a PNG as differences from the row above (filter 2)."""
    above = np.zeros(pixels.shape[1] * pixels.shape[2] * 2, np.uint8)
    for row in pixels:
        current = np.frombuffer(row.astype(">u2").tobytes(), np.uint8)
        yield b"\2" + (current - above).tobytes()
        above = current


def _tiff(pixels: Levels, metadata: Metadata | None) -> bytes:
    """A TIFF of 8 or 16 bits a channel, deflated; Pillow writes no 16 bits, nor EXIF beside compression."""
    height, width, channels = pixels.shape
    strips = []
    for start in range(0, height, STRIP_ROWS):
        rows = pixels[start : start + STRIP_ROWS]
        differences = rows.astype(pixels.dtype.newbyteorder("<"))
        differences[:, 1:] -= rows[:, :-1]
        strips.append(zlib.compress(differences.tobytes(), 6))
    lengths = [len(strip) for strip in strips]
    directory = ImageFileDirectory_v2()
    tags: dict[int, Any] = dict(metadata.exif()) | {XMP_TAG: metadata.xmp()} if metadata else {}
    tags |= {
        256: width,
        257: height,
        258: (pixels.itemsize * 8,) * channels,
        259: 8,  # deflate
        262: 2,  # RGB
        273: tuple(itertools.accumulate(lengths[:-1], initial=0)),  # the strips' places, behind the directory
        277: channels,
        278: STRIP_ROWS,
        279: tuple(lengths),
        317: 2,  # differences between neighbours of a row
    }
    if channels == 4:
        tags[338] = 2  # the fourth is alpha, not multiplied in
    for tag, value in tags.items():
        directory[tag] = value
    buffer = io.BytesIO()
    directory.save(buffer)
    buffer.writelines(strips)
    return buffer.getvalue()
