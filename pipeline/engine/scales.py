"""The sizes that a picture runs at, coarse to fine, and how images come to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.engine.extractor import smallest_side
from pipeline.engine.objective import Tensor
from pipeline.manifest.parameters import Parameters

Image = npt.NDArray[np.float32]

COARSEST_SIDE = 128  # pixels; below it an automatic pyramid gains nothing


def schedule(parameters: Parameters, height: int, width: int) -> list[tuple[int, int]]:
    """Scales, coarse to fine, as (long side in pixels, steps); steps add up to ``parameters.steps``.

    ``auto`` halves the long side as long as it keeps ``COARSEST_SIDE`` pixels and the short side what the layers need,
    and gives each scale twice the steps of the next: a step there costs a quarter. A list of sides shares them evenly.
    The finest gets what division leaves over. Steps that are given for sides beyond the image's are run at its own.
    """
    side, short = max(height, width), min(height, width)
    pyramid = parameters.pyramid
    if isinstance(pyramid, dict):
        coarser = [(s, steps) for s, steps in pyramid.items() if s < side]
        rest = parameters.steps - sum(steps for _, steps in coarser)
        return [*coarser, (side, rest)] if rest else [*coarser[:-1], (side, coarser[-1][1])]
    sides = [side]
    if pyramid == "auto":
        while sides[0] // 2 >= COARSEST_SIDE and short * sides[0] // 2 >= smallest_side(parameters.layers) * side:
            sides.insert(0, sides[0] // 2)
    elif pyramid != "off":
        sides = [*(s for s in pyramid if s < side), side]
    total = parameters.steps
    sides = sides[-total:]
    parts = [2**k if pyramid == "auto" else 1 for k in reversed(range(len(sides)))]
    shares = [total * part // sum(parts) for part in parts[:-1]]
    return list(zip(sides, [*shares, total - sum(shares)], strict=True))


def resize(image: Image, ratio: float) -> Tensor:
    """``[H, W, 3]`` scaled down by ``ratio`` with Lanczos's filter, as ``[1, h, w, 3]``."""
    batch = tf.convert_to_tensor(image)[None]
    if ratio == 1.0:
        return batch
    size = [max(1, round(image.shape[0] * ratio)), max(1, round(image.shape[1] * ratio))]
    return tf.clip_by_value(tf.image.resize(batch, size, "lanczos3", antialias=True), 0.0, 1.0)


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
