"""Where a photo's faces are, by the detector MTCNN (Zhang et al. 2016, https://arxiv.org/abs/1604.02878)."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from pipeline.engine.scales import Image

SMALLEST = 16  # pixels


class Face(NamedTuple):
    """A face's box, from brow to chin: left, top, width and height in parts of the image's width and height."""

    x: float
    y: float
    width: float
    height: float


def find(image: Image) -> list[Face]:
    """The faces of an RGB image ``[H, W, 3]`` in [0, 1], from left to right; of its size depends what is found."""
    height, width = image.shape[:2]
    pixels = np.round(image * 255.0).astype(np.uint8)
    found = [one["box"] for one in _detector().detect_faces(pixels, min_face_size=SMALLEST)]
    # What lies outside the image is cut off, which may leave nothing.
    return sorted(Face(x / width, y / height, w / width, h / height) for x, y, w, h in found if w > 0 and h > 0)


@functools.cache
def _detector() -> Any:
    from mtcnn import MTCNN

    return MTCNN(device="CPU:0")
