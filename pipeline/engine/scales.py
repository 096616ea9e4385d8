"""How images come to the sizes of a picture's scales."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.engine.roots import Tensor
from pipeline.manifest.parameters import Parameters

Image = npt.NDArray[np.float32]


def resize(image: Image, ratio: float) -> Tensor:
    """``[H, W, 3]`` scaled down by ``ratio`` with Lanczos's filter, as ``[1, h, w, 3]``."""
    batch = tf.convert_to_tensor(image)[None]
    if ratio == 1.0:
        return batch
    height, width = image.shape[:2]
    return tf.clip_by_value(tf.image.resize(batch, size(height, width, ratio), "lanczos3", antialias=True), 0.0, 1.0)


def size(height: int, width: int, ratio: float) -> tuple[int, int]:
    """What ``resize`` makes of a height and a width."""
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def resize_mask(mask: Image, like: Tensor) -> Tensor:
    """``[H, W]`` as ``[1, h, w, 1]``, as high and wide as an image."""
    return tf.image.resize(mask[None, ..., None], like.shape[1:3], "area")


def start(content: Tensor, image: Image | None, parameters: Parameters) -> Tensor:
    """The picture ``[1, H, W, 3]`` that the first step sees: ``image``, the content or noise."""
    if image is not None:
        scaled = tf.image.resize(image[None], content.shape[1:3], "lanczos3", antialias=True)
        return tf.clip_by_value(scaled, 0.0, 1.0)
    if parameters.init != "noise":
        return content
    noise = np.random.default_rng(parameters.seed).random(content.shape, np.float32)
    return tf.convert_to_tensor(noise)


def enlarge(image: Tensor, like: Tensor) -> Tensor:
    """A picture as high and wide as an image of the next scale."""
    return tf.clip_by_value(tf.image.resize(image, like.shape[1:3], "bicubic"), 0.0, 1.0)
