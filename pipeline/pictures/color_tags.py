"""What a picture's file says of its colours, in the order in which its format wants that to be believed."""

from __future__ import annotations

import contextlib
import struct
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image

from pipeline.pictures import boxes, png
from pipeline.pictures.spaces import (
    ADOBE_PRIMARIES,
    CURVES,
    PRIMARIES,
    SRGB_PRIMARIES,
    Array,
    Curve,
    Space,
    gamma,
    srgb,
)

Meaning = Space | bytes  # bytes are an ICC profile
SRGB = Space()
LEAST_GAMMA, MOST_GAMMA = 0.1, 10.0  # what is beyond is a mistake
PNG_GAMMA_OF_SRGB = 45455  # what a writer of sRGB is to say beside it
TRANSFER_FUNCTION, WHITE_POINT, PRIMARY_CHROMATICITIES = 301, 318, 319  # of TIFF
ADOBE_GAMMA = 563 / 256


def meaning(image: Image.Image, file: BinaryIO) -> Meaning:
    """What the values of an open image mean; sRGB where its file does not say, or says what cannot be.

    Args:
        image: as Pillow has opened it.
        file: its bytes.
    """
    said: Meaning | None = None
    # Pillow raises whatever its parsing of metadata runs into, which is no reason to refuse a picture.
    with contextlib.suppress(Exception):
        said = _SAYS[image.format](image, file) if image.format in _SAYS else image.info.get("icc_profile")
    if not said:
        with contextlib.suppress(Exception):
            said = _of_exif(image)
    if isinstance(said, Space):
        with contextlib.suppress(ValueError):
            said.require_colors()
            return said
    return said if isinstance(said, bytes) else SRGB


def of_code_points(primaries: int, transfer: int, is_narrow: bool = False) -> Space | None:
    """The space of code points of H.273; None if they are reserved, or none is said."""
    if primaries not in PRIMARIES and transfer not in CURVES:
        return None
    return Space(PRIMARIES.get(primaries, SRGB_PRIMARIES), CURVES.get(transfer, srgb), is_narrow)


def _of_png(_: Image.Image, file: BinaryIO) -> Meaning | None:
    points = png.data(file, b"cICP")
    if len(points) == 4 and points[2] == 0 and (space := of_code_points(points[0], points[1], points[3] == 0)):
        return space
    if profile := png.profile(file):
        return profile
    if png.data(file, b"sRGB"):
        return SRGB
    values, corners = png.data(file, b"gAMA"), png.data(file, b"cHRM")
    if not values and not corners:
        return None
    primaries, curve = SRGB_PRIMARIES, SRGB.curve
    value = int.from_bytes(values[:4], "big")
    if value != PNG_GAMMA_OF_SRGB and LEAST_GAMMA <= 100_000 / max(value, 1) <= MOST_GAMMA:
        curve = gamma(100_000 / value)
    if len(corners) == 32:
        white, colors = np.split(np.array(struct.unpack(">8I", corners)) / 100_000, [2])
        primaries = (*colors.tolist(), *white.tolist())
    return Space(primaries, curve)


def _of_boxes(image: Image.Image, file: BinaryIO) -> Meaning | None:
    if profile := image.info.get("icc_profile"):
        return bytes(profile)
    points = boxes.color_of_primary(file)
    return of_code_points(*points) if points else None


def _of_tiff(image: Any, _: BinaryIO) -> Meaning | None:
    if profile := image.info.get("icc_profile"):
        return bytes(profile)
    tags = image.tag_v2
    table, white, colors = map(tags.get, (TRANSFER_FUNCTION, WHITE_POINT, PRIMARY_CHROMATICITIES))
    if not (table or white or colors):
        return None
    primaries = (*(colors or SRGB_PRIMARIES[:6]), *(white or SRGB_PRIMARIES[6:]))
    return Space(tuple(map(float, primaries)), _of_table(table or ()))


def _of_table(table: tuple[int, ...]) -> Curve:
    """The curve of a TIFF's TransferFunction: a table for all channels, or one for each; sRGB's if it rises nowhere."""
    light = np.array(table, np.float64) / 65535.0
    channels = light.reshape(3, -1) if len(table) % 3 == 0 else light[None]
    if channels.size < 2 or (channels[:, -1] <= channels[:, 0]).any():
        return srgb

    def curve(values: Array) -> Array:
        at = np.linspace(0.0, 1.0, channels.shape[1])
        found = [np.interp(values, at, channel) for channel in channels]
        return found[0] if len(found) == 1 else np.stack(found, axis=-1)

    return curve


def _of_bmp(_: Image.Image, file: BinaryIO) -> Meaning | None:
    """Of its version 4 or 5 (BITMAPV4HEADER, BITMAPV5HEADER)."""
    file.seek(14)
    header = file.read(124)
    size, kind = int.from_bytes(header[:4], "little"), header[56:60]
    if size >= 124 and kind == b"DEBM":  # MBED, embedded
        at, length = struct.unpack("<II", header[112:120])
        file.seek(14 + at)
        return file.read(min(length, png.MAX_PROFILE))
    if size < 108 or any(kind):  # others than calibrated RGB are sRGB, or the screen's
        return None
    corners = np.array(struct.unpack("<9i", header[60:96])).reshape(3, 3) / 2**30
    exponents = np.array(struct.unpack("<3I", header[96:108])) / 2**16
    if (corners.sum(axis=1) <= 0).any():
        return None
    points = np.vstack([corners, corners.sum(axis=0)])
    primaries = (points[:, :2] / points.sum(axis=1, keepdims=True)).ravel()
    is_sane = ((exponents >= LEAST_GAMMA) & (exponents <= MOST_GAMMA)).all()
    curve = (lambda values: values[:, None] ** exponents) if is_sane else srgb
    return Space(tuple(primaries.tolist()), curve)


def _of_exif(image: Image.Image) -> Space | None:
    """Adobe RGB, as cameras say it without a profile (DCF 2.0, its option file)."""
    exif = image.getexif()
    interoperability = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex, "")
    color_space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    if color_space == 2 or (color_space == 0xFFFF and str(interoperability).startswith("R03")):
        return Space(ADOBE_PRIMARIES, gamma(ADOBE_GAMMA))
    return None


_SAYS: dict[str | None, Any] = {"PNG": _of_png, "HEIF": _of_boxes, "AVIF": _of_boxes, "TIFF": _of_tiff, "BMP": _of_bmp}
