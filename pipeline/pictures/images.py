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
from PIL import Image, ImageChops, ImageCms, UnidentifiedImageError, _imaging

from pipeline import storage
from pipeline.errors import EndlessImageError, HugeFileError, ImageError, IncompleteImageError
from pipeline.pictures import color_tags, gif, png
from pipeline.pictures.color_tags import Meaning
from pipeline.pictures.completeness import Watched, ends_unwritten, lacks_end, may_be_on_its_way
from pipeline.pictures.depth import in_8_bits
from pipeline.pictures.jpeg_end import decoded_without_end
from pipeline.pictures.others import what_other
from pipeline.pictures.raw import what_raw
from pipeline.pictures.spaces import Space

# Pillow's other formats (PostScript and the like) are not needed and widen what a hostile file can reach.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # its first bytes
BYTES_A_PIXEL = 16  # at most: four channels of 32 bits
# What lies behind transparent pixels while they are stylised: mid-grey pulls neither up nor down.
NEUTRAL = (128, 128, 128)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PROFILE_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}  # of an image, by its profile's colour space

Rgb = npt.NDArray[np.float32]
Alpha = npt.NDArray[np.uint8]

# Sizes are checked here, by `--max-pixels`, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Picture:
    """RGB float32 ``[H, W, 3]`` in [0, 1], and the alpha channel uint8 ``[H, W]`` where the file has one."""

    rgb: Rgb
    alpha: Alpha | None


def verify(file: BinaryIO, name: str, max_pixels: int, end_may_lack: bool = False) -> tuple[int, int]:
    """Decode an image to its end and give its upright width and height in pixels.

    Args:
        file: its bytes.
        name: what errors call it.
        max_pixels: larger ones are refused.
        end_may_lack: whether one that lacks its end alone is as good as whole.

    Raises:
        EndlessImageError: it does, and that may not be.
        IncompleteImageError: it breaks off, as a file does that is still being copied.
        HugeFileError: it has more bytes than ``max_pixels`` pixels can have.
        ImageError: it is no image of a known format, or has more than ``max_pixels`` pixels.
    """
    image, is_endless = opened(file, name, max_pixels)
    turned = _orientation(image) in (5, 6, 7, 8)
    size = (image.height, image.width) if turned else image.size
    if is_endless and not end_may_lack:
        error = EndlessImageError(f"{name}: lacks the end of its file, though no pixels.", "Copy the file again.")
        error.size = size
        raise error
    return size


def load(path: Path, long_side: int, name: str, max_pixels: int) -> Picture:
    """``decoded``, of an image that somebody has named."""
    with storage.open_named(path) as file:
        return decoded(file, long_side, name, max_pixels)


def decoded(file: BinaryIO, long_side: int | None, name: str, max_pixels: int) -> Picture:
    """An image from an open file: upright, sRGB, resized with Lanczos's filter to ``long_side`` pixels where that
    is said.

    Transparent parts show a neutral grey in ``rgb``. Errors as ``verify``, naming the image ``name``.
    """
    image, _ = opened(file, name, max_pixels)
    return shown(image, file, long_side, name)


def shown(image: Image.Image, file: BinaryIO, long_side: int | None, name: str) -> Picture:
    """A decoded image as it is to be seen."""
    turn = TURNS.get(_orientation(image))
    try:
        meant = color_tags.meaning(image, file)
        image, meant = in_8_bits(image, meant, file)
    except Exception as error:
        raise _unusable(name, error) from None
    ratio = long_side / max(image.size) if long_side else 1.0
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    try:
        if image.size != size:
            image = image.resize(size, Image.Resampling.LANCZOS)
        image = _to_srgb(image, meant)
    except Exception as error:
        raise _unusable(name, error) from None
    if turn is not None:
        image = image.transpose(turn)
    alpha = None
    if image.mode == "RGBA":
        channel = image.getchannel("A")
        ground = Image.new("RGB", image.size, NEUTRAL)
        ground.paste(image, mask=channel)
        image = ground
        alpha = np.asarray(channel)
    return Picture(np.asarray(image, np.float32) / np.float32(255.0), alpha)


def resized(rgb: Rgb, height: int, width: int) -> Rgb:
    """A picture at another size, by Lanczos's filter; at its own it stays as it is."""
    if rgb.shape[:2] == (height, width):
        return rgb
    channels = [Image.fromarray(rgb[..., c]).resize((width, height), Image.Resampling.LANCZOS) for c in range(3)]
    return np.stack([np.asarray(channel, np.float32) for channel in channels], axis=-1)


def reduced(rgb: Rgb, side: int) -> Rgb:
    """A picture that a small one is to be made of: means of squares of pixels, its long side still ``side`` or more."""
    each = max(1, max(rgb.shape[:2]) // side)
    height, width = (length // each for length in rgb.shape[:2])
    if each == 1 or not (height and width):
        return rgb
    means: Rgb = rgb[: height * each, : width * each].reshape(height, each, width, each, 3).mean((1, 3))
    return means


def opened(file: BinaryIO, name: str, max_pixels: int) -> tuple[Image.Image, bool]:
    """The first frame, decoded, and whether its file lacks its end, though no pixels of that. Errors as ``verify``."""
    prepare_pillow()
    size, most = file.seek(0, io.SEEK_END), max_pixels * BYTES_A_PIXEL
    if size > most:
        raise HugeFileError(
            f"{name}: {size:,} bytes; the limit is {most:,}, for {max_pixels:,} pixels (--max-pixels).",
            "Save it again as PNG or JPEG.",
        )
    if what := what_raw(file):
        raise ImageError(
            f"{name}: {what}; that is not read.",
            "Develop it with your camera's program or another, and save that as JPEG or TIFF.",
        )
    file.seek(0)
    if file.read(4) == b"GIF8":  # whose first frame Pillow may take memory for as it opens the file
        _require_few(*next(gif.corners(file), (0, 0)), name, max_pixels)
    file.seek(0)
    watched = Watched(png.without_long_texts(file))
    image = None
    try:
        # Pillow warns of broken metadata, which does not concern the pixels.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(cast("IO[bytes]", watched), formats=FORMATS)
            _require_few(image.width, image.height, name, max_pixels)
            image.load()
        if ends_unwritten(file, image):
            raise IncompleteImageError(f"{name}: ends in zeros.", "Copy the file again.")
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(f"{name}: too large to decode in memory.", "Make it smaller.") from None
    except Exception as error:  # Pillow's decoders raise whatever their parsing runs into.
        if image is not None and image.format in ("JPEG", "MPO") and watched.ran_out:
            image.close()  # as its memory is needed
            if found := decoded_without_end(file):
                return found, True
        raise _failure(file, name, watched.ran_out, image, error) from None
    return image, lacks_end(file, image)


def _require_few(width: int, height: int, name: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width}×{height} pixels; the limit is {max_pixels:,} (--max-pixels).",
            "Make it smaller, or raise the limit.",
        )


def _failure(file: BinaryIO, name: str, ran_out: bool, image: Image.Image | None, error: Exception) -> ImageError:
    unknown = isinstance(error, UnidentifiedImageError)
    if unknown and (other := what_other(file)):
        return ImageError(f"{name}: {other[0]}; that is not read.", other[1])
    if may_be_on_its_way(file, ran_out, image):
        why = f"no image within its {file.seek(0, io.SEEK_END):,} bytes yet" if unknown else error
        return IncompleteImageError(f"{name}: does not decode to its end ({why}).", "Copy the file again.")
    file.seek(0)
    if unknown and file.read(4) in TIFF:
        what = f"{name}: a TIFF of a kind that is not read, as of floating point in colour, or a damaged one."
        return ImageError(
            what, "Open it in another program, and save it as PNG or JPEG, or with 8 or 16 bits a channel."
        )
    if unknown:
        formats = ", ".join(FORMATS)
        return ImageError(f"{name}: not an image of a known format, or a damaged one.", f"Save it as one of {formats}.")
    remedy = "It is damaged, or of a rare kind; open it in another program and save it as PNG or JPEG."
    return ImageError(f"{name}: cannot be read ({error}).", remedy)


def own(path: Path, most_bytes: int | None = None) -> Image.Image:
    """A picture that was written here, decoded.

    Raises:
        ImageError: it is damaged, or gone.
    """
    prepare_pillow()
    try:
        with storage.open_file(path, most_bytes) as file, Image.open(file, formats=FORMATS) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError) as error:  # as Pillow tells of damage
        if isinstance(error, OSError) and error.errno is not None and not storage.is_of_entry(error):
            raise
        raise ImageError(f"{path.name}: cannot be read ({error}).", "Try it again.") from None


@functools.cache
def prepare_pillow() -> None:
    """Teach Pillow HEIF, and it and libtiff to be silent, which tell standard error, without a name, what is raised."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of broken metadata, a line for each of a stranger's tags
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


def _unusable(name: str, error: Exception) -> ImageError:
    return ImageError(f"{name}: cannot be converted to RGB ({error}).", "Save it again as PNG or JPEG.")


def _to_srgb(image: Image.Image, meant: Meaning) -> Image.Image:
    """RGB or RGBA, in sRGB, of an image of 8 bits."""
    has_alpha = image.mode in ("LA", "RGBA")
    if isinstance(meant, Space) and meant.is_srgb:
        return image.convert("RGBA" if has_alpha else "RGB")
    if isinstance(meant, Space):
        converted = Image.fromarray(meant.to_srgb(np.asarray(image.convert("RGB")), 255))
    else:
        converted = _by_profile(image, meant)
    if has_alpha:
        converted.putalpha(image.getchannel("A"))
    return converted


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """RGB, in sRGB; a broken or foreign profile is passed over."""
    plain = image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = PROFILE_MODES[source.profile.xcolor_space.strip()]
        colors = plain if mode == "RGB" else image if mode == image.mode else plain.getchannel(0)
        if mode != "RGB" and mode != image.mode and not (mode == "L" and _is_grey(plain)):
            return plain
        converted = ImageCms.profileToProfile(colors, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, KeyError):
        return plain
    return converted or plain


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = image.split()
    return not any(ImageChops.difference(red, other).getbbox() for other in (green, blue))
