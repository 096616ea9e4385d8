"""Pictures of 16 bits a channel, palettes and rare modes, as 8 bits of grey, RGB or CMYK that can be resized."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageCms

from pipeline.pictures import png
from pipeline.pictures.color_tags import SRGB, Meaning
from pipeline.pictures.spaces import Array, Space, hlg, pq, sample_step, strips

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
    if image.mode == "LAB":
        return _resizable(image), SRGB  # whatever else the file says
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple) and _png_bits(image, file) == 16:
        image = image.copy()  # of an animation each frame says it anew
        image.info["transparency"] = tuple(value >> 8 for value in transparent)  # where Pillow keeps 8
    if isinstance(meant, Space) and not meant.is_srgb and (deep := _deep(image, file, meant)):
        return _in_srgb(deep, meant), SRGB
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


class _Deep(NamedTuple):
    """An image with more than 8 bits a channel."""

    rows: Callable[[int, int], Array]  # the levels from one row to before another, [h, W] or [h, W, 3]
    top: int  # the level that stands for 1
    onto: Image.Image  # RGB or RGBA, with its alpha; may be the image itself


def _in_srgb(deep: _Deep, meant: Space) -> Image.Image:
    """Strip by strip in the place of 8 bits, as a whole large picture of 16 would not fit beside them."""
    onto = deep.onto
    every = sample_step(onto.height, onto.width)
    sample = np.stack([deep.rows(at, at + 1)[0, ::every] for at in range(0, onto.height, every)])
    convert = meant.converter(sample, deep.top)
    for at, below in strips(onto.height, onto.width):
        box = (0, at, onto.width, below)
        part = Image.fromarray(convert(deep.rows(at, below)))
        if onto.mode == "RGBA":
            part.putalpha(onto.crop(box).getchannel("A"))
        onto.paste(part, box)
    return onto


def _deep(image: Image.Image, file: BinaryIO, meant: Space) -> _Deep | None:
    """The levels that Pillow leaves out, or has of greys alone; None where there are but 8 bits."""
    if image.mode.startswith("I;16"):
        turn = np.invert if _is_negative(image) else np.asarray
        return _Deep(lambda *rows: turn(_rows(image, *rows)), 65535, _colored(image))
    if image.format == "PNG" and image.mode in ("RGB", "RGBA"):
        return _deep_of_png(image, file)
    if image.format == "HEIF" and meant.curve in (pq, hlg):
        return _deep_of_heif(image, file)
    return None


def _colored(image: Image.Image) -> Image.Image:
    """RGB, or RGBA where it has alpha; the image itself if it is that."""
    plain = _resizable(image)
    return plain if plain.mode in ("RGB", "RGBA") else plain.convert("RGBA" if plain.mode == "LA" else "RGB")


def _rows(image: Image.Image, at: int, below: int) -> Array:
    return np.asarray(image.crop((0, at, image.width, below)))


def _png_bits(image: Image.Image, file: BinaryIO) -> int:
    """Bits a channel of a PNG, which its first chunk says; 0 of other formats."""
    file.seek(24)
    return file.read(1)[0] if image.format == "PNG" else 0


def _deep_of_png(image: Image.Image, file: BinaryIO) -> _Deep | None:
    """Pillow keeps the upper half of each value. Asked for values in the other order of bytes it keeps the lower."""
    with Image.open(png.without_long_texts(file), formats=["PNG"]) as again:
        tiles: Any = again.tile
        if not tiles or tiles[0].args != f"{image.mode};16B":
            return None
        again.tile = [tile._replace(args=f"{image.mode};16L") for tile in tiles]
        again.load()

    def rows(at: int, below: int) -> Array:
        upper, lower = (_rows(half, at, below)[..., :3] for half in (image, again))
        return upper.astype(np.uint16) << 8 | lower

    return _Deep(rows, 65535, _colored(image))


def _deep_of_heif(image: Image.Image, file: BinaryIO) -> _Deep | None:
    import pillow_heif

    bits = int(image.info.get("bit_depth", 8))
    file.seek(0)
    opened = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    found = opened[opened.primary_index]
    if bits <= 8 or not found.mode.endswith(";16") or found.size != image.size:
        return None
    levels = np.asarray(found)

    def rows(at: int, below: int) -> Array:
        part = levels[at:below, : image.width]
        return part[..., :3] if part.ndim == 3 else part

    return _Deep(rows, ((1 << bits) - 1) << (16 - bits), _colored(image))


def _is_negative(image: Image.Image) -> bool:
    """Whether 0 is white, in a TIFF of more than 8 bits, which Pillow leaves as it is."""
    return bool(_tiff(image, 262) == 0)


def _tiff(image: Any, tag: int) -> Any:
    return image.tag_v2.get(tag) if image.format == "TIFF" else None


def _to_8_bit(image: Image.Image) -> Image.Image:
    """8 bits a channel, rounded; what a grey value or colour makes transparent becomes alpha."""
    transparent = image.info.get("transparency")
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    if image.mode == "I" and _tiff(image, 258) == (32,) and _tiff(image, 339) in (None, (1,)):
        values = values.view(np.uint32)  # which Pillow has no mode for
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
    grey = Image.fromarray(255 - levels if _is_negative(image) else levels)
    if alpha is not None:
        for part, rows in zip(_strips(values), _strips(alpha), strict=True):
            rows[:] = np.where(part == transparent, 0, 255)
        grey.putalpha(Image.fromarray(alpha))
    return grey


def _strips(values: Array) -> Iterator[Array]:
    """Views of some rows each."""
    return (values[at:below] for at, below in strips(*values.shape))
