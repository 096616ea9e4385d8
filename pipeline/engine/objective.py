"""The objective of Gatys et al. (2015, https://arxiv.org/abs/1508.06576), scaled as in TensorFlow's tutorial.

Features are ``[1, H, W, C]`` tensors in the precision of the extractor; every loss is a float32 scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types

WASSERSTEIN_SCALE = 1e4  # about what the same style_weight needs with Gram matrices
DIRECTIONS = 256  # in which a style's features spread most; at 512 channels they hold 99 % of the variance
CONTENT_POWER = 5  # of the distance beyond the limit
ROOT_FLOOR = 1e-7  # of the largest eigenvalue: float32 tells nothing below it


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


def gram_statistics(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """The Gram matrix of features where a mask ``[1, h, w, 1]`` in [0, 1] lets them: that of ``m ⊙ F`` over ``Σ m²``
    positions (Gatys et al. 2017, https://arxiv.org/abs/1611.07865, eq. 5). No mask: of all of them."""
    if mask is None:
        return gram_matrix(features)
    shares = _shares(features, mask)
    positions = tf.cast(tf.size(shares), tf.float32)
    return gram_matrix(features * tf.cast(shares, features.dtype)) * (positions / (tf.reduce_sum(shares**2) + 1e-6))


def gram_distance(features: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """``mean((G − target)²)`` of a Gram matrix ``[C, C]``."""
    return tf.reduce_mean(tf.square(gram_statistics(features, mask) - target))


def covariance(features: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """``Σ = Fᵀ W F − μμᵀ`` and ``μ = Fᵀ w`` of features ``[1, H, W, C]``, float32 ``[C, C]`` and ``[C]``, where each
    position weighs ``w``: by the mask's square, or alike.

    The products of Σ are in float32 whatever the features' precision, as a difference has no bits to spare; that of
    the gradient, ``W (F (dΣ + dΣᵀ) + dμ − μ (dΣ + dΣᵀ))``, is in the features'.
    """
    shape = tf.shape(features)
    weights = _weights(features, mask)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(columns: Tensor) -> Any:
        exact = tf.cast(columns, tf.float32)
        weighted = exact if mask is None else exact * weights
        product, mean = tf.matmul(weighted, exact, transpose_a=True), tf.reduce_sum(weighted, 0)
        if mask is None:
            product, mean = product * weights, mean * weights

        def gradient(of_covariance: Tensor, of_mean: Tensor) -> Tensor:
            symmetric = of_covariance + tf.transpose(of_covariance)
            offset = of_mean - tf.linalg.matvec(symmetric, mean)
            if mask is None:
                symmetric, offset = symmetric * weights, offset * weights
            symmetric, offset = (tf.cast(part, columns.dtype) for part in (symmetric, offset))
            slope = tf.nn.bias_add(columns @ symmetric, offset)
            return slope if mask is None else slope * tf.cast(weights, columns.dtype)

        return (product - mean[:, None] * mean[None, :], mean), gradient

    found: tuple[Tensor, Tensor] = compute(tf.reshape(features, [shape[1] * shape[2], shape[3]]))
    return found


def moments(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """The second moments of features ``Σ + μμᵀ`` and, as the last row, their mean μ; float32 ``[C + 1, C]``."""
    spread, mean = covariance(features, mask)
    return tf.concat([spread + mean[:, None] * mean[None, :], mean[None]], 0)


def factored(moments: Tensor) -> Tensor:
    """``L``, of which ``LᵀL`` is the covariance in its ``DIRECTIONS`` of most variance, and as the last row the mean;
    ``[min(C, DIRECTIONS) + 1, C]``."""
    mean = moments[-1]
    values, vectors = tf.linalg.eigh(moments[:-1] - mean[:, None] * mean[None, :])
    factor = tf.transpose(vectors * tf.sqrt(tf.maximum(values, 0.0)))
    return tf.concat([factor[-DIRECTIONS:], mean[None]], 0)


def wasserstein_distance(features: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """The square of the 2-Wasserstein distance of two normal distributions, by channel and scaled.

    ``|μ − μ'|² + tr Σ + tr Σ' − 2 tr (Σ'^½ Σ Σ'^½)^½`` (Dowson and Landau 1982,
    https://doi.org/10.1016/0047-259X(82)90077-X). With Σ = XᵀX and Σ' = LᵀL the last trace is that of ``(L Σ Lᵀ)^½`` or
    ``(X Lᵀ L Xᵀ)^½``, the smaller matrix where positions are few.

    Args:
        features: of the image.
        target: ``factored`` moments of the style's.
        mask: which positions count, ``[1, h, w, 1]``.
    """
    factor, target_mean = target[:-1], target[-1]
    positions, channels = tf.reduce_prod(tf.shape(features)[1:3]), tf.shape(features)[3]
    spread, mean = covariance(features, mask)

    def between_positions() -> Tensor:
        moved = tf.matmul(_deviations(features, mean, mask), factor, transpose_b=True)
        return tf.matmul(moved, moved, transpose_b=True)

    def between_directions() -> Tensor:
        return tf.matmul(factor @ spread, factor, transpose_b=True)

    product = tf.cond(positions < tf.shape(factor)[0], between_positions, between_directions)
    apart = tf.reduce_sum(tf.square(mean - target_mean)) + tf.linalg.trace(spread) + tf.reduce_sum(tf.square(factor))
    return WASSERSTEIN_SCALE * (apart - 2.0 * _trace_of_root(product)) / tf.cast(channels, tf.float32)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _trace_of_root(matrix: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """``tr A^½`` of a symmetric, positive semidefinite matrix, with the gradient ``½ A^-½``: no difference of
    eigenvalues is in it, which makes that of a decomposition unstable."""
    values, vectors = tf.linalg.eigh(matrix)
    values = tf.maximum(values, 0.0)
    floor = ROOT_FLOOR * values[-1] + 1e-30
    roots = tf.sqrt(values + floor)

    def gradient(upstream: Tensor) -> Tensor:
        return tf.matmul(vectors * (0.5 * upstream / roots), vectors, transpose_b=True)

    return tf.reduce_sum(roots - tf.sqrt(floor)), gradient


def _deviations(features: Tensor, mean: Tensor, mask: Tensor | None) -> Tensor:
    """``X = W^½ (F − μ)`` ``[H·W, C]``, float32, of which ``XᵀX`` is the covariance."""
    shape = tf.shape(features)
    columns = tf.cast(tf.reshape(features, [shape[1] * shape[2], shape[3]]), tf.float32)
    return (columns - mean) * tf.sqrt(_weights(features, mask))


def _weights(features: Tensor, mask: Tensor | None) -> Tensor:
    """What each position weighs: ``[H·W, 1]`` that add up to 1, or the one number that is all of them."""
    if mask is None:
        return 1.0 / tf.cast(tf.reduce_prod(tf.shape(features)[1:3]), tf.float32)
    squares = tf.reshape(_shares(features, mask) ** 2, [-1, 1])
    return squares / (tf.reduce_sum(squares) + 1e-6)


def _shares(features: Tensor, mask: Tensor) -> Tensor:
    """A mask averaged down to the height and width of features."""
    return tf.image.resize(mask, tf.shape(features)[1:3], "area")


class StyleLoss(NamedTuple):
    """How far an image is from a style at one layer."""

    statistics: Callable[..., Tensor]  # of features (and mask); a weighted mean of several styles' is a style's again
    target: Callable[[Tensor], Tensor]  # what is kept of a style's statistics
    distance: Callable[..., Tensor]  # of an image's features from a target (and mask)


STYLE_LOSSES = {
    "gram": StyleLoss(gram_statistics, tf.identity, gram_distance),
    "wasserstein": StyleLoss(moments, factored, wasserstein_distance),
}


def weighted_mean(losses: Sequence[Tensor], layer_weights: Tensor) -> Tensor:
    """``1/n · Σ w_l · loss_l`` over n layers."""
    return tf.reduce_mean(layer_weights * tf.stack(losses))


def content_distance(features: Tensor, target: Tensor, limit: Tensor | None = None) -> Tensor:
    """``D = mean((F − F_c)²)``; with a limit τ ``D · (D / (τ · mean(F_c²)))⁵``.

    The power keeps D near the limit, whatever draws the picture away from the photo: at one weight, calm and loud
    paintings lead to about the same distance (docs/decisions.md).

    Args:
        features: ``[1, H, W, C]``.
        target: F_c, float32, of the same shape.
        limit: the part of F_c that may be lost; None for no limit.
    """
    distance = tf.reduce_mean(tf.square(tf.cast(features, tf.float32) - target))
    if limit is None:
        return distance
    excess = tf.math.divide_no_nan(distance, limit * tf.reduce_mean(tf.square(target)))
    return distance * excess**CONTENT_POWER


def total_variation_loss(image: Tensor) -> Tensor:
    """``Σ|Δx| + Σ|Δy|`` over the pixels and channels of an image ``[1, H, W, 3]``.

    ``tf.image.total_variation`` computes the same from strided slices, whose gradient takes seven times as long.
    """
    height, width = tf.unstack(tf.shape(image)[1:3])
    below, above = (tf.slice(image, [0, y, 0, 0], [1, height - 1, width, 3]) for y in (1, 0))
    right, left = (tf.slice(image, [0, 0, x, 0], [1, height, width - 1, 3]) for x in (1, 0))
    return tf.reduce_sum(tf.abs(below - above)) + tf.reduce_sum(tf.abs(right - left))
