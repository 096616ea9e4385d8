"""Where content counts more: soft ellipses in boxes, as of faces."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]  # left, top, width and height in parts of the picture's width and height

REACH = 1.15  # radii of the box's own ellipse that are held whole: brow and chin lie at its edge
FADE = 1 / 3  # of a radius, over which it falls to nothing


def ellipses(boxes: Iterable[Box], height: int, width: int) -> npt.NDArray[np.float32]:
    """A map ``[H, W]`` in [0, 1]: 1 within each box's ellipse, falling to 0 around it."""
    y, x = np.mgrid[0.5:height, 0.5:width].astype(np.float32)
    found = np.zeros((height, width), np.float32)
    for left, top, wide, high in boxes:
        across = (x / width - left - wide / 2) / (wide / 2)
        down = (y / height - top - high / 2) / (high / 2)
        beyond = (np.hypot(across, down) - REACH) / FADE
        found = np.maximum(found, np.clip(1.0 - beyond, 0.0, 1.0))
    return found
