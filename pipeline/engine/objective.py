"""The objective of Gatys et al. (2015, https://arxiv.org/abs/1508.06576), scaled as in TensorFlow's tutorial.

Features are ``[1, H, W, C]`` tensors in the precision of the extractor; every loss is a float32 scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types


@tf.custom_gradient  # type: ignore[untyped-decorator]
def gram_matrix(features: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """``G = FᵀF / (H·W)`` for features ``[1, H, W, C]``; returns float32 ``[C, C]``.

    The gradient with respect to F is ``F (dG + dGᵀ) / (H·W)``: one product where autodiff of the matmul takes two.
    Products are summed in float32 whatever the precision of the features.
    """
    shape = tf.shape(features)
    columns = tf.reshape(features, [shape[1] * shape[2], shape[3]])
    inverse_positions = 1.0 / tf.cast(shape[1] * shape[2], tf.float32)
    wide = tf.cast(columns, tf.float32)
    gram = tf.matmul(wide, wide, transpose_a=True) * inverse_positions

    def gradient(upstream: Tensor) -> Tensor:
        symmetric = tf.cast((upstream + tf.transpose(upstream)) * inverse_positions, columns.dtype)
        return tf.reshape(tf.matmul(columns, symmetric), shape)

    return gram, gradient


def style_loss(grams: Sequence[Tensor], targets: Sequence[Tensor], layer_weights: Tensor) -> Tensor:
    """``1/n · Σ w_l · mean((G_l − target_l)²)`` over n style layers; Gram matrices are float32 ``[C, C]``."""
    losses = [tf.reduce_mean(tf.square(gram - target)) for gram, target in zip(grams, targets, strict=True)]
    return tf.reduce_mean(layer_weights * tf.stack(losses))


def content_loss(features: Sequence[Tensor], targets: Sequence[Tensor], layer_weights: Tensor) -> Tensor:
    """``1/n · Σ w_l · mean((F_l − target_l)²)`` over n content layers; targets are float32, shaped as the features."""
    losses = [tf.reduce_mean(tf.square(tf.cast(f, tf.float32) - t)) for f, t in zip(features, targets, strict=True)]
    return tf.reduce_mean(layer_weights * tf.stack(losses))


def total_variation_loss(image: Tensor) -> Tensor:
    """``Σ|Δx| + Σ|Δy|`` over the pixels and channels of an image ``[1, H, W, 3]``."""
    return tf.image.total_variation(image)[0]
