"""Opening what people really drop, upright and in sRGB, without trusting it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError, _imaging

from pipeline import storage
from pipeline.errors import HugeFileError, ImageError, IncompleteImageError
from pipeline.pictures.completeness import Watched, ends_unwritten, may_be_on_its_way

# Pillow's other formats (PostScript and the like) are not needed and widen what a hostile file can reach.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".avif", ".heic", ".heif")
BYTES_A_PIXEL = 16  # at most: four channels of 32 bits
# What lies behind transparent pixels while they are stylised: mid-grey pulls neither up nor down.
NEUTRAL = (128, 128, 128)

Rgb = npt.NDArray[np.float32]
Alpha = npt.NDArray[np.uint8]

# Sizes are checked here, by `--max-pixels`, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Picture:
    """RGB float32 ``[H, W, 3]`` in [0, 1], and the alpha channel uint8 ``[H, W]`` where the file has one."""

    rgb: Rgb
    alpha: Alpha | None


def verify(file: BinaryIO, name: str, max_pixels: int) -> tuple[int, int]:
    """Decode an image to its end and give its upright width and height in pixels.

    Raises:
        IncompleteImageError: it breaks off, as a file does that is still being copied.
        HugeFileError: it has more bytes than ``max_pixels`` pixels can have.
        ImageError: it is no image of a known format, or has more than ``max_pixels`` pixels.
    """
    image = _open(file, name, max_pixels)
    turned = _orientation(image) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else image.size


def load(path: Path, long_side: int, name: str, max_pixels: int) -> Picture:
    """``decoded``, of an image that somebody has named."""
    with storage.open_named(path) as file:
        return decoded(file, long_side, name, max_pixels)


def decoded(file: BinaryIO, long_side: int, name: str, max_pixels: int) -> Picture:
    """An image from an open file: upright, sRGB, resized with Lanczos's filter to ``long_side`` pixels.

    Transparent parts show a neutral grey in ``rgb``. Errors as ``verify``, naming the image ``name``.
    """
    image = _upright(_open(file, name, max_pixels))
    try:
        image = _to_srgb(image)
    except Exception as error:
        raise ImageError(f"{name}: cannot be converted to RGB ({error}).", "Save it again as PNG or JPEG.") from None
    ratio = long_side / max(image.size)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    alpha = None
    if image.mode == "RGBA":
        channel = image.getchannel("A")
        ground = Image.new("RGB", image.size, NEUTRAL)
        ground.paste(image, mask=channel)
        image = ground
        alpha = np.asarray(channel.resize(size, Image.Resampling.LANCZOS))
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    return Picture(np.asarray(image, np.float32) / np.float32(255.0), alpha)


def resized(rgb: Rgb, height: int, width: int) -> Rgb:
    """A picture at another size, by Lanczos's filter; at its own it stays as it is."""
    if rgb.shape[:2] == (height, width):
        return rgb
    channels = [Image.fromarray(rgb[..., c]).resize((width, height), Image.Resampling.LANCZOS) for c in range(3)]
    return np.stack([np.asarray(channel, np.float32) for channel in channels], axis=-1)


def _open(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """The first frame, decoded."""
    prepare_pillow()
    size, most = file.seek(0, io.SEEK_END), max_pixels * BYTES_A_PIXEL
    if size > most:
        raise HugeFileError(
            f"{name}: {size:,} bytes; the limit is {most:,}, for {max_pixels:,} pixels (--max-pixels).",
            "Save it again as PNG or JPEG.",
        )
    file.seek(0)
    watched = Watched(file)
    image = None
    try:
        # Pillow warns of broken metadata, which does not concern the pixels.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(cast("IO[bytes]", watched), formats=FORMATS)
            if image.width * image.height > max_pixels:
                raise ImageError(
                    f"{name}: {image.width}×{image.height} pixels; the limit is {max_pixels:,} (--max-pixels).",
                    "Make it smaller, or raise the limit.",
                )
            image.load()
        if ends_unwritten(file, image):
            raise IncompleteImageError(f"{name}: ends in zeros.", "Copy the file again.")
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(f"{name}: too large to decode in memory.", "Make it smaller.") from None
    except Exception as error:  # Pillow's decoders raise whatever their parsing runs into.
        raise _failure(file, name, watched.ran_out, image, error) from None
    return image


def _failure(file: BinaryIO, name: str, ran_out: bool, image: Image.Image | None, error: Exception) -> ImageError:
    unknown = isinstance(error, UnidentifiedImageError)
    if may_be_on_its_way(file, ran_out, image):
        why = f"no image within its {file.seek(0, io.SEEK_END):,} bytes yet" if unknown else error
        return IncompleteImageError(f"{name}: does not decode to its end ({why}).", "Copy the file again.")
    if unknown:
        formats = ", ".join(FORMATS)
        return ImageError(f"{name}: not an image of a known format, or a damaged one.", f"Save it as one of {formats}.")
    remedy = "It is damaged, or of a rare kind; open it in another program and save it as PNG or JPEG."
    return ImageError(f"{name}: cannot be read ({error}).", remedy)


@functools.cache
def prepare_pillow() -> None:
    """Teach Pillow HEIF, and libtiff to be silent, which tells standard error, without a name, what Pillow raises."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    with contextlib.suppress(OSError, AttributeError):  # a Pillow that has libtiff within itself
        libraries = ctypes.CDLL(_imaging.__file__)
        for handler in (libraries.TIFFSetErrorHandler, libraries.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # broken metadata is no reason to refuse a picture
        return 1


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # likewise
        return image


def _to_srgb(image: Image.Image) -> Image.Image:
    """RGB or RGBA, 8 bits, sRGB."""
    profile = image.info.get("icc_profile")
    image = _to_8_bit(image)
    if image.mode in ("LA", "PA", "RGBa", "La") or (
        image.mode in ("1", "P", "L", "RGB") and "transparency" in image.info
    ):
        image = image.convert("RGBA")
    elif image.mode not in ("RGB", "RGBA", "L", "CMYK"):
        image = image.convert("RGB")
    if profile:
        image = _apply_profile(image, profile)
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """8 bits a channel, rounded; what a grey value or colour makes transparent becomes alpha."""
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in transparent)  # of 16 bits, where Pillow keeps 8
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        levels = (values.astype(np.uint32) + 128) // 257
    else:
        # Without a stated range: unit floats, 8 bits or 16 bits, by the largest value.
        finite = np.nan_to_num(values.astype(np.float64))
        top = float(finite.max(initial=0.0))
        full = 1.0 if image.mode == "F" and top <= 1.0 else 255.0 if top <= 255.0 else max(top, 65535.0)
        levels = np.rint(np.clip(finite / full * 255.0, 0, 255))
    grey = Image.fromarray(levels.astype(np.uint8))
    if transparent is not None:
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image.convert("RGB") if alpha else image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (
        ImageCms.PyCMSError,
        OSError,
        ValueError,
        TypeError,
    ):  # a broken or foreign profile: take the values as sRGB
        return image
    if converted is None:
        return image
    if alpha:
        converted.putalpha(alpha)
    return converted
