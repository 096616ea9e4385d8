"""Small pictures for a page."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pipeline.pictures.images import Picture


def preview(picture: Picture | Image.Image, long_side: int) -> bytes:
    """A picture as WebP, scaled down to ``long_side`` pixels at most."""
    image = picture.copy() if isinstance(picture, Image.Image) else _as_image(picture)
    image.thumbnail((long_side, long_side), Image.Resampling.LANCZOS, reducing_gap=None)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=4)
    return buffer.getvalue()


def _as_image(picture: Picture) -> Image.Image:
    pixels = np.rint(np.clip(picture.rgb, 0.0, 1.0) * 255.0).astype(np.uint8)
    return Image.fromarray(pixels if picture.alpha is None else np.dstack([pixels, picture.alpha]))
