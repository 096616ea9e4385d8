"""Animated GIF, WebP and PNG: their frames one after another."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from pipeline.errors import EndlessImageError, IncompleteImageError
from pipeline.pictures import images
from pipeline.pictures.clips import Film, Filmed

SUFFIXES = (".gif", ".webp", ".png", ".apng")
LEAST_MILLISECONDS, USUAL_MILLISECONDS = 11.0, 100.0  # of a frame; browsers show one that says less as if it said so


def is_named_like_one(name: str) -> bool:
    """Whether a file may be an animation by its name."""
    return name.lower().endswith(SUFFIXES)


def verify(file: BinaryIO, name: str, max_pixels: int) -> Film:
    """What a picture is that may be an animation; one of a single frame is a photo.

    Raises:
        IncompleteImageError: it breaks off, wherever.
        ImageError: as ``images.verify``.
    """
    try:
        size = images.verify(file, name, max_pixels)
    except EndlessImageError as error:
        raise IncompleteImageError(error.message, error.advice) from None
    count = images.frames(file, name, max_pixels)
    return Film(*size, count, 0.0, "animation" if count > 1 else "photo")


def frames_of(file: BinaryIO, name: str, max_pixels: int) -> Iterator[Filmed]:
    """The frames, upright, in sRGB; transparent parts are grey."""
    time = Fraction(0)
    for picture, said in images.animated(file, name, max_pixels):
        yield Filmed(time, np.round(picture.rgb * 255.0).astype(np.uint8))
        time += Fraction(said if said >= LEAST_MILLISECONDS else USUAL_MILLISECONDS).limit_denominator(1000) / 1000
