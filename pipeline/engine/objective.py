"""The objective of Gatys et al. (2015, https://arxiv.org/abs/1508.06576), scaled as in TensorFlow's tutorial.

Features are ``[1, H, W, C]`` tensors in the precision of the extractor; every loss is a float32 scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types

WASSERSTEIN_SCALE = 1e4  # about what the same style_weight needs with Gram matrices
RIDGE = 1e-4  # added to a covariance, as a part of its mean variance
ROOT_ITERATIONS = 14


@tf.custom_gradient  # type: ignore[untyped-decorator]
def gram_matrix(features: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """``G = FᵀF / (H·W)`` for features ``[1, H, W, C]``; returns float32 ``[C, C]``.

    The gradient with respect to F is ``F (dG + dGᵀ) / (H·W)``: one product where autodiff of the matmul takes two.
    In bfloat16 the products are summed in float32 too; the sum is rounded, by a five-hundredth at most.
    """
    shape = tf.shape(features)
    columns = tf.reshape(features, [shape[1] * shape[2], shape[3]])
    inverse_positions = 1.0 / tf.cast(shape[1] * shape[2], tf.float32)
    gram = tf.cast(tf.matmul(columns, columns, transpose_a=True), tf.float32) * inverse_positions

    def gradient(upstream: Tensor) -> Tensor:
        symmetric = tf.cast((upstream + tf.transpose(upstream)) * inverse_positions, columns.dtype)
        return tf.reshape(tf.matmul(columns, symmetric), shape)

    return gram, gradient


def moments(features: Tensor) -> Tensor:
    """The Gram matrix of features ``[1, H, W, C]`` and, as its last row, their mean; float32 ``[C + 1, C]``.

    In float32 whatever the features' precision: a covariance, the difference of the two, has no bits to spare.
    """
    features = tf.cast(features, tf.float32)
    return tf.concat([gram_matrix(features), tf.reduce_mean(features, axis=[0, 1, 2])[None]], 0)


def rooted(statistics: Tensor) -> Tensor:
    """``moments`` with the square root of the covariance in place of the Gram matrix; ``[C + 1, C]``."""
    mean, covariance = _mean_and_covariance(statistics)
    return tf.concat([_square_roots(covariance)[0], mean[None]], 0)


def gram_distance(gram: Tensor, target: Tensor) -> Tensor:
    """``mean((G − target)²)`` of Gram matrices ``[C, C]``."""
    return tf.reduce_mean(tf.square(gram - target))


def wasserstein_distance(statistics: Tensor, target: Tensor) -> Tensor:
    """The square of the 2-Wasserstein distance of two normal distributions, by channel and scaled.

    ``|μ − μ'|² + tr Σ + tr Σ' − 2 tr (Σ'^½ Σ Σ'^½)^½`` (Dowson and Landau 1982,
    https://doi.org/10.1016/0047-259X(82)90077-X).

    Args:
        statistics: ``moments`` of the image's features.
        target: ``rooted`` moments of the style's.
    """
    mean, covariance = _mean_and_covariance(statistics)
    root, target_mean = target[:-1], target[-1]
    apart = tf.reduce_sum(tf.square(mean - target_mean))
    spread = tf.linalg.trace(covariance) + tf.reduce_sum(tf.square(root))
    shared = _trace_of_root(root @ covariance @ root)
    return WASSERSTEIN_SCALE * (apart + spread - 2.0 * shared) / tf.cast(tf.shape(mean)[0], tf.float32)


def _mean_and_covariance(statistics: Tensor) -> tuple[Tensor, Tensor]:
    mean = statistics[-1]
    return mean, statistics[:-1] - mean[:, None] * mean[None, :]


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _trace_of_root(matrix: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """``tr A^½``, whose gradient is ``½ A^-½``."""
    root, inverse_root = _square_roots(matrix)
    return tf.linalg.trace(root), lambda upstream: 0.5 * upstream * inverse_root


def _square_roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """``A^½`` and ``A^-½`` of a symmetric, positive semidefinite matrix, by the coupled iteration of Newton and Schulz
    (Higham 2008, Functions of Matrices, eq. 6.35)."""
    identity = tf.eye(tf.shape(matrix)[0])
    # Few positions and many channels leave directions without any spread, which have no inverse.
    matrix += identity * (RIDGE * tf.linalg.trace(matrix) / tf.cast(tf.shape(matrix)[0], tf.float32) + 1e-12)
    norm = tf.norm(matrix)
    root, inverse_root = matrix / norm, identity
    for _ in range(ROOT_ITERATIONS):
        correction = 1.5 * identity - 0.5 * inverse_root @ root
        root, inverse_root = root @ correction, correction @ inverse_root
    return root * tf.sqrt(norm), inverse_root / tf.sqrt(norm)


def within(statistics: Callable[[Tensor], Tensor], mask: Tensor | None, features: Tensor) -> Tensor:
    """Statistics of features ``[1, H, W, C]`` where a mask ``[1, h, w, 1]`` in [0, 1] lets them: those of ``m ⊙ F``
    over ``Σ m²`` positions (Gatys et al. 2017, https://arxiv.org/abs/1611.07865, eq. 5). No mask: of all of them."""
    if mask is None:
        return statistics(features)
    shape = tf.shape(features)
    mask = tf.image.resize(mask, shape[1:3], "area")
    positions = tf.cast(shape[1] * shape[2], tf.float32)
    return statistics(features * tf.cast(mask, features.dtype)) * (positions / (tf.reduce_sum(mask**2) + 1e-6))


class StyleLoss(NamedTuple):
    """How far an image is from a style at one layer."""

    statistics: Callable[[Tensor], Tensor]  # of features; a weighted mean of several styles' is a style's again
    target: Callable[[Tensor], Tensor]  # what is kept of a style's statistics
    distance: Callable[[Tensor, Tensor], Tensor]  # of an image's statistics from a target


STYLE_LOSSES = {
    "gram": StyleLoss(gram_matrix, tf.identity, gram_distance),
    "wasserstein": StyleLoss(moments, rooted, wasserstein_distance),
}


def style_loss(
    statistics: Sequence[Tensor],
    targets: Sequence[Tensor],
    layer_weights: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor] = gram_distance,
) -> Tensor:
    """``1/n · Σ w_l · distance(S_l, target_l)`` over n style layers; by default of Gram matrices."""
    losses = [distance(found, target) for found, target in zip(statistics, targets, strict=True)]
    return tf.reduce_mean(layer_weights * tf.stack(losses))


def content_loss(features: Sequence[Tensor], targets: Sequence[Tensor], layer_weights: Tensor) -> Tensor:
    """``1/n · Σ w_l · mean((F_l − target_l)²)`` over n content layers; targets are float32, shaped as the features."""
    losses = [tf.reduce_mean(tf.square(tf.cast(f, tf.float32) - t)) for f, t in zip(features, targets, strict=True)]
    return tf.reduce_mean(layer_weights * tf.stack(losses))


def total_variation_loss(image: Tensor) -> Tensor:
    """``Σ|Δx| + Σ|Δy|`` over the pixels and channels of an image ``[1, H, W, 3]``.

    ``tf.image.total_variation`` computes the same from strided slices, whose gradient takes seven times as long.
    """
    height, width = tf.unstack(tf.shape(image)[1:3])
    below, above = (tf.slice(image, [0, y, 0, 0], [1, height - 1, width, 3]) for y in (1, 0))
    right, left = (tf.slice(image, [0, 0, x, 0], [1, height, width - 1, 3]) for x in (1, 0))
    return tf.reduce_sum(tf.abs(below - above)) + tf.reduce_sum(tf.abs(right - left))
