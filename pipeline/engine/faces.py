"""Where a photo's faces are, by the detector MTCNN (Zhang et al. 2016, https://arxiv.org/abs/1604.02878)."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from mtcnn import MTCNN
from mtcnn.stages import StageONet, StagePNet, StageRNet
from mtcnn.utils.bboxes import generate_bounding_box, resize_to_square, upscale_bboxes
from mtcnn.utils.images import build_scale_pyramid, scale_images

from pipeline.engine.scales import Image
from pipeline.manifest.fields import MOST_BOXES

SMALLEST = 16  # pixels
MOST_PLACES = 2000  # that are looked at closely, the surest: enough for seven hundred faces side by side


class Face(NamedTuple):
    """A face's box, from brow to chin: left, top, width and height in parts of the image's width and height."""

    x: float
    y: float
    width: float
    height: float


def find(image: Image) -> list[Face]:
    """The faces of an RGB image ``[H, W, 3]`` in [0, 1], from left to right; of its size depends what is found. Where
    there are more than a manifest may name, the surest."""
    height, width = image.shape[:2]
    pixels = np.round(image * 255.0).astype(np.uint8)
    found = [one["box"] for one in _detector().detect_faces(pixels)]
    # What lies outside the image is cut off, which may leave nothing.
    faces = [Face(x / width, y / height, w / width, h / height) for x, y, w, h in found if w > 0 and h > 0]
    return sorted(faces[:MOST_BOXES])


class _Places(StagePNet):  # type: ignore[misc]
    """The detector's first stage, which finds the places that may be a face. The package's own compares each of them
    with each other: a crowd took gigabytes, and a picture made for it all there are."""

    def __call__(self, images_normalized: Any, images_oshapes: Any, **_: Any) -> Any:
        height, width = images_oshapes[0][:2]
        found = [np.empty((0, 6))]
        for scale in build_scale_pyramid(width, height, SMALLEST, scale_factor=0.709):
            places = generate_bounding_box(*self.model(scale_images(images_normalized, scale)), threshold_face=0.6)
            found.append(_apart(upscale_bboxes(places, np.array([scale])), 0.5))
        return resize_to_square(_apart(np.concatenate(found), 0.7))


def _apart(places: Any, most_overlap: float) -> Any:
    """The surest of the places ``[N, 6]``, surest first, less those that overlap with one before them."""
    boxes, scores = places[:, 1:5].astype(np.float32), places[:, 5].astype(np.float32)
    return places[tf.image.non_max_suppression(boxes, scores, MOST_PLACES, most_overlap).numpy()]


@functools.cache
def _detector() -> Any:
    with tf.device("CPU:0"):  # where its weights are made, too: from a GPU they would come again with each layer
        return MTCNN(stages=[_Places, StageRNet, StageONet], device="CPU:0")
