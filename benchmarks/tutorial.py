"""TensorFlow's tutorial "Neural style transfer", written anew from its published formulas: what we compare with.

Keras's VGG-19, the Gram matrix as an einsum, gradients by autodiff, Keras's Adam, one float32 graph for one size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.engine.weights import Kernel

STYLE_LAYERS = [f"block{block}_conv1" for block in range(1, 6)]
CONTENT_LAYERS = ["block5_conv2"]


def make_step(kernels: Mapping[str, Kernel], content: Any, style: Any) -> Callable[[], float]:
    """A function that makes one step of the recipe and gives the loss before it.

    Args:
        kernels: of VGG-19, by layer.
        content: RGB ``[H, W, 3]`` in [0, 1].
        style: likewise, of any size.
    """
    vgg = keras.applications.VGG19(include_top=False, weights=None)
    for layer in vgg.layers:
        if layer.name in kernels:
            layer.set_weights(list(kernels[layer.name]))
    vgg.trainable = False
    outputs = [vgg.get_layer(name).output for name in STYLE_LAYERS + CONTENT_LAYERS]
    model = keras.Model(vgg.input, outputs)

    def extract(image: Any) -> tuple[list[Any], list[Any]]:
        found = model(keras.applications.vgg19.preprocess_input(image * 255.0))
        return [gram(f) for f in found[: len(STYLE_LAYERS)]], found[len(STYLE_LAYERS) :]

    def gram(features: Any) -> Any:
        shape = tf.shape(features)
        return tf.einsum("bijc,bijd->bcd", features, features) / tf.cast(shape[1] * shape[2], tf.float32)

    style_targets = extract(tf.constant(style)[None])[0]
    content_targets = extract(tf.constant(content)[None])[1]
    image = tf.Variable(content[None].astype(np.float32))
    optimizer = keras.optimizers.Adam(learning_rate=0.02, beta_1=0.99, epsilon=1e-1)

    @tf.function  # type: ignore[untyped-decorator]
    def step() -> Any:
        with tf.GradientTape() as tape:
            grams, features = extract(image)
            style_loss = tf.add_n([tf.reduce_mean((a - b) ** 2) for a, b in zip(grams, style_targets, strict=True)])
            content_loss = tf.add_n(
                [tf.reduce_mean((a - b) ** 2) for a, b in zip(features, content_targets, strict=True)]
            )
            loss = style_loss * 1e-2 / len(STYLE_LAYERS) + content_loss * 1e4 / len(CONTENT_LAYERS)
            loss += 30 * tf.reduce_sum(tf.image.total_variation(image))
        optimizer.apply_gradients([(tape.gradient(loss, image), image)])
        image.assign(tf.clip_by_value(image, 0.0, 1.0))
        return loss

    return lambda: float(step())
