"""Pictures of 16 bits a channel, palettes and rare modes, as 8 bits of grey, RGB or CMYK that can be resized."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms

from pipeline.pictures import png
from pipeline.pictures.color_tags import SRGB, Meaning
from pipeline.pictures.spaces import STRIP, Array, Space, hlg, pq

RESIZABLE = ("L", "LA", "RGB", "RGBA", "CMYK")
WITH_ALPHA = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}
WITH_TRANSPARENCY = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}


def in_8_bits(image: Image.Image, meant: Meaning, file: BinaryIO) -> tuple[Image.Image, Meaning]:
    """An image of 8 bits a channel, and what its values mean.

    Where more bits are at hand and the values are not sRGB's they are converted here: of linear light, PQ or HLG 8 bits
    would be too few.

    Args:
        image: decoded.
        meant: what its values mean.
        file: its bytes.
    """
    if isinstance(meant, Space) and not meant.is_srgb and (deep := _deep(image, file, meant)):
        converted = Image.fromarray(meant.to_srgb(*deep))
        plain = _resizable(image)
        if plain.mode in ("LA", "RGBA"):
            converted.putalpha(plain.getchannel("A"))
        return converted, SRGB
    return _resizable(image), meant


def _resizable(image: Image.Image) -> Image.Image:
    image = _to_8_bit(image)
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image.convert("RGB")
    mode = WITH_ALPHA.get(image.mode)
    if "transparency" in image.info:
        mode = WITH_TRANSPARENCY.get(image.mode, mode)
    mode = mode or (image.mode if image.mode in RESIZABLE else "L" if image.mode == "1" else "RGB")
    return image if image.mode == mode else image.convert(mode)


def _deep(image: Image.Image, file: BinaryIO, meant: Space) -> tuple[Array, int] | None:
    """The levels of an image with more than 8 bits, and the one that stands for 1; None where Pillow has but 8."""
    if image.mode.startswith("I;16"):
        return np.asarray(image), 65535
    if image.format == "PNG" and image.mode in ("RGB", "RGBA"):
        return _deep_of_png(image, file)
    if image.format == "HEIF" and meant.curve in (pq, hlg):
        return _deep_of_heif(image, file)
    return None


def _deep_of_png(image: Image.Image, file: BinaryIO) -> tuple[Array, int] | None:
    """Pillow keeps the upper half of each value. Asked for values in the other order of bytes it keeps the lower."""
    with Image.open(png.without_long_texts(file), formats=["PNG"]) as again:
        tiles: Any = again.tile
        if not tiles or tiles[0].args != f"{image.mode};16B":
            return None
        again.tile = [tile._replace(args=f"{image.mode};16L") for tile in tiles]
        lower = np.asarray(again)
    upper = np.asarray(image)
    levels = np.empty((image.height, image.width, 3), np.uint16)
    for part, high, low in zip(_strips(levels), _strips(upper), _strips(lower), strict=True):
        part[:] = high[..., :3]
        part <<= 8
        part |= low[..., :3]
    return levels, 65535


def _deep_of_heif(image: Image.Image, file: BinaryIO) -> tuple[Array, int] | None:
    """Pillow has but 8 bits of it."""
    import pillow_heif

    bits = int(image.info.get("bit_depth", 8))
    if bits <= 8:
        return None
    file.seek(0)
    found = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    levels = np.asarray(found[found.primary_index])
    if levels.dtype != np.uint16 or levels.shape[:2] != (image.height, image.width):
        return None
    return levels[..., :3] if levels.ndim == 3 else levels, ((1 << bits) - 1) << (16 - bits)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """8 bits a channel, rounded; what a grey value or colour makes transparent becomes alpha."""
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in transparent)  # of 16 bits, where Pillow keeps 8
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        full = 65535.0
    else:
        # Without a stated range: unit floats, 8 bits or 16 bits, by the largest value.
        top = max((float(part[np.isfinite(part)].max(initial=0.0)) for part in _strips(values)), default=0.0)
        full = 1.0 if image.mode == "F" and top <= 1.0 else 255.0 if top <= 255.0 else max(top, 65535.0)
    levels = np.empty(values.shape, np.uint8)
    alpha = None if transparent is None else np.empty(values.shape, np.uint8)
    for part, rows in zip(_strips(values), _strips(levels), strict=True):
        rows[:] = np.rint(np.clip(np.nan_to_num(part.astype(np.float64)), 0.0, full) / full * 255.0)
    grey = Image.fromarray(levels)
    if alpha is not None:
        for part, rows in zip(_strips(values), _strips(alpha), strict=True):
            rows[:] = np.where(part == transparent, 0, 255)
        grey.putalpha(Image.fromarray(alpha))
    return grey


def _strips(values: Array) -> list[Array]:
    """Views of some rows each, as numbers of other kinds take several times the memory."""
    rows = max(1, STRIP // max(1, values.shape[1]))
    return [values[at : at + rows] for at in range(0, len(values), rows)]
