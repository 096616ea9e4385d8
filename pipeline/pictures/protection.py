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
    x, y = ((np.arange(side, dtype=np.float32) + 0.5) / side for side in (width, height))
    found = np.zeros((height, width), np.float32)
    for left, top, wide, high in boxes:
        across = (x - left - wide / 2) / (wide / 2)
        down = (y - top - high / 2) / (high / 2)
        columns, rows = (np.flatnonzero(np.abs(radii) < REACH + FADE) for radii in (across, down))
        beyond = (np.hypot(across[columns], down[rows, None]) - REACH) / FADE
        there = np.ix_(rows, columns)  # a crowd has many, each small
        found[there] = np.maximum(found[there], np.clip(1.0 - beyond, 0.0, 1.0))
    return found
