"""Animated GIF, WebP and PNG: their frames one after another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from PIL import Image

from pipeline.errors import EndlessImageError, ImageError, IncompleteImageError
from pipeline.pictures import gif, images
from pipeline.pictures.clips import Film, Filmed

SUFFIXES = (".gif", ".webp", ".png", ".apng")
FORMATS = ("GIF", "WEBP", "PNG")  # what moves, where several pictures are not pages or layers
MOST_DECODED = 2_000_000_000  # pixels of an animation, before it is taken: some ten seconds
LEAST_DECODED = 100_000  # that a frame counts for, however small it is
LEAST_MILLISECONDS, USUAL_MILLISECONDS = 11.0, 100.0  # of a frame; browsers show one that says less as if it said so


def is_named_like_one(name: str) -> bool:
    """Whether a file may be an animation by its name."""
    return name.lower().endswith(SUFFIXES)


def verify(file: BinaryIO, name: str, max_pixels: int) -> Film:
    """What a picture is that may be an animation; one of a single frame is a photo.

    All frames are decoded, of one that is longer than ``MOST_DECODED`` the first ones.

    Raises:
        IncompleteImageError: it breaks off, wherever.
        ImageError: as ``images.verify``, or a frame is damaged, or larger than the first.
    """
    try:
        size = images.verify(file, name, max_pixels)
    except EndlessImageError as error:
        raise IncompleteImageError(error.message, error.advice) from None
    image, _ = images.opened(file, name, max_pixels)
    count = _count(image, file, name)
    first_ones = MOST_DECODED // max(image.width * image.height, LEAST_DECODED)
    for _ in itertools.islice(_decoded(image, count, name), first_ones):
        pass
    return Film(*size, count, 0.0, "animation" if count > 1 else "photo")


def frames_of(file: BinaryIO, name: str, max_pixels: int) -> Iterator[Filmed]:
    """The frames, upright, in sRGB; transparent parts are grey. Errors as ``verify``."""
    time = Fraction(0)
    image, _ = images.opened(file, name, max_pixels)
    for _ in _decoded(image, _count(image, file, name), name):
        at = file.tell()  # which Pillow goes on from
        levels = np.round(images.shown(image, file, None, name).rgb * 255.0).astype(np.uint8)
        said = float(image.info.get("duration") or 0)
        lasts = Fraction(said if said >= LEAST_MILLISECONDS else USUAL_MILLISECONDS).limit_denominator(1000) / 1000
        yield Filmed(time, levels, None, lasts)
        time += lasts
        file.seek(at)


def _decoded(image: Image.Image, count: int, name: str) -> Iterator[None]:
    """An image at one frame after another, each decoded."""
    size, hidden = image.size, _hidden(image)
    for number in range(count):
        try:
            image.seek(number + hidden if count > 1 else 0)
            grows = image.size != size
            if not grows:
                image.load()
        except Exception as error:  # Pillow's decoders raise whatever their parsing runs into
            what = f"{name}: its frame {number + 1:,} of {count:,} cannot be read ({error})."
            raise ImageError(what, "It is damaged; save it again, or leave that frame out.") from None
        if grows:
            raise _larger(name)
        yield


def _count(image: Image.Image, file: BinaryIO, name: str) -> int:
    """How many frames are shown of an image; 1 of one that does not move.

    Raises:
        ImageError: one is larger than the first, for which Pillow would take memory as it comes to it.
    """
    if image.format == "GIF":
        at = file.tell()
        if any(right > image.width or below > image.height for right, below in gif.corners(file)):
            raise _larger(name)
        file.seek(at)
    try:
        count = int(getattr(image, "n_frames", 1)) if image.format in FORMATS else 1
    except Exception as error:  # as above
        raise ImageError(f"{name}: its frames cannot be counted ({error}).", "Save it again.") from None
    return max(1, count - _hidden(image))


def _hidden(image: Image.Image) -> int:
    """1 where a PNG's first picture is for those alone who show no animation."""
    return int(getattr(image, "default_image", False))


def _larger(name: str) -> ImageError:
    return ImageError(f"{name}: a later frame is larger than the first.", "Save it again with frames of one size.")
