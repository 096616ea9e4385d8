"""Small pictures for a page."""

from __future__ import annotations

import io

from PIL import Image

from pipeline.pictures.images import Picture
from pipeline.pictures.saving import levels


def preview(picture: Picture | Image.Image, long_side: int) -> bytes:
    """A picture as WebP, scaled down to ``long_side`` pixels at most."""
    image = picture.copy() if isinstance(picture, Image.Image) else Image.fromarray(levels(picture))
    image.thumbnail((long_side, long_side), Image.Resampling.LANCZOS, reducing_gap=None)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=4)
    return buffer.getvalue()
