"""The objective of Gatys et al. (2015, https://arxiv.org/abs/1508.06576), scaled as in TensorFlow's tutorial.

Features are ``[1, H, W, C]`` tensors in the precision of the extractor; every loss is a float32 scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.engine import roots
from pipeline.engine.roots import Tensor

WASSERSTEIN_SCALE = 1e4  # about what the same style_weight needs with Gram matrices
DIRECTIONS = 256  # in which a style's features spread most; at 512 channels they hold 99 % of the variance
CONTENT_POWER = 5  # of the distance beyond the limit
PROTECTION = 16.0  # times what content weighs elsewhere, where there is no limit
PROTECTED_LIMIT = 0.04  # of what is protected: at 0.1 mouths are torn, lower and it looks like a photo


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


def gram_distances(statistics: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """``mean((G − target)²)`` of the Gram matrix ``[C, C]`` of each layer; ``[layers]``."""
    pairs = zip(statistics, targets, strict=True)
    return tf.stack([tf.reduce_mean(tf.square(gram - target)) for gram, target in pairs])


def moments(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """The second moments ``M = Fᵀ W F`` of features ``[1, H, W, C]`` and, as the last row, their mean ``μ = Fᵀ w``;
    float32 ``[C + 1, C]``. Each position weighs ``w``: by the mask's square, or alike.

    The products are in float32 whatever the features' precision, as a covariance is a difference and has no bits to
    spare; that of the gradient, ``W (F (dM + dMᵀ) + dμ)``, is in the features'.
    """
    channels = features.shape[3]
    squares = None if mask is None else tf.reshape(_shares(features, mask) ** 2, [-1, 1])

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(columns: Tensor) -> Any:
        exact = tf.cast(columns, tf.float32)
        if squares is None:
            weighted, whole = exact, 1.0 / tf.cast(tf.shape(columns)[0], tf.float32)
        else:
            weighted, whole = exact * squares, 1.0 / (tf.reduce_sum(squares) + 1e-6)
        product, mean = tf.matmul(weighted, exact, transpose_a=True), tf.reduce_sum(weighted, 0, keepdims=True)

        def gradient(upstream: Tensor) -> Tensor:
            of_product, of_mean = tf.split(upstream * whole, [channels, 1])
            symmetric = tf.cast(of_product + tf.transpose(of_product), columns.dtype)
            slope = tf.nn.bias_add(columns @ symmetric, tf.cast(tf.reshape(of_mean, [-1]), columns.dtype))
            return slope if squares is None else slope * tf.cast(squares, columns.dtype)

        return tf.concat([product, mean], 0) * whole, gradient

    return compute(tf.reshape(features, [-1, channels]))


class WassersteinTarget(NamedTuple):
    """What is kept of a style's moments: the terms of a distance that need no root are ``Σ plain ⊙ [M; μ] + rest``."""

    factor: Tensor  # L [min(C, DIRECTIONS), C], of which LᵀL is the covariance in its directions of most variance
    plain: Tensor  # [C + 1, C]: the identity and, as the last row, −2μ'
    rest: Tensor  # |μ'|² + |L|²


def wasserstein_target(moments: Tensor) -> WassersteinTarget:
    """Of a style's moments ``[C + 1, C]``."""
    mean = moments[-1:]
    values, vectors = tf.linalg.eigh(_covariance(moments[:-1], mean))
    factor = tf.transpose(vectors * tf.sqrt(tf.maximum(values, 0.0)))[-DIRECTIONS:]
    plain = tf.concat([tf.eye(moments.shape[1]), -2.0 * mean], 0)
    return WassersteinTarget(factor, plain, tf.reduce_sum(tf.square(mean)) + tf.reduce_sum(tf.square(factor)))


def wasserstein_distances(statistics: Sequence[Tensor], targets: Sequence[WassersteinTarget]) -> Tensor:
    """The squares of the 2-Wasserstein distances of normal distributions, by channel and scaled; ``[layers]``.

    ``|μ − μ'|² + tr Σ + tr Σ' − 2 tr (Σ'^½ Σ Σ'^½)^½`` (Dowson and Landau 1982,
    https://doi.org/10.1016/0047-259X(82)90077-X) with ``Σ = M − μμᵀ``. With Σ' = LᵀL the last trace is that of
    ``(L Σ Lᵀ)^½``; its gradient by Σ is ``Q = ½ Lᵀ (L Σ Lᵀ)^-½ L``, by μ ``−2Qμ``.

    Args:
        statistics: ``moments`` of the image ``[C + 1, C]``, one a layer.
        targets: of the style.
    """
    scales = np.array([WASSERSTEIN_SCALE / found.shape[1] for found in statistics], np.float32)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(*statistics: Tensor) -> Any:
        parts = [tf.split(found, [found.shape[1], 1]) for found in statistics]
        products = [
            tf.matmul(target.factor @ _covariance(*part), target.factor, transpose_b=True)
            for part, target in zip(parts, targets, strict=True)
        ]
        traces, slopes = roots.traces(products)
        plain = tf.stack([tf.reduce_sum(f * target.plain) for f, target in zip(statistics, targets, strict=True)])
        rest = tf.stack([target.rest for target in targets])

        def gradient(upstream: Tensor) -> list[Tensor]:
            found = []
            of_layers = tf.unstack(upstream * scales)
            for of_layer, slope, (_, mean), target in zip(of_layers, slopes, parts, targets, strict=True):
                q = tf.matmul(target.factor, slope @ target.factor, transpose_a=True)
                found.append(of_layer * (target.plain - 2.0 * tf.concat([q, -2.0 * (mean @ q)], 0)))
            return found

        return scales * (plain + rest - 2.0 * traces), gradient

    return compute(*statistics)


def _covariance(second_moments: Tensor, mean: Tensor) -> Tensor:
    return second_moments - tf.transpose(mean) * mean


def _shares(features: Tensor, mask: Tensor) -> Tensor:
    """A mask averaged down to the height and width of features."""
    return tf.image.resize(mask, tf.shape(features)[1:3], "area")


class StyleLoss(NamedTuple):
    """How far an image is from a style."""

    statistics: Callable[..., Tensor]  # of features (and mask); a weighted mean of several styles' is a style's again
    target: Callable[[Tensor], Any]  # what is kept of a style's statistics
    distances: Callable[[Sequence[Tensor], Sequence[Any]], Tensor]  # of an image's statistics from targets, by layer


STYLE_LOSSES = {
    "gram": StyleLoss(gram_statistics, tf.identity, gram_distances),
    "wasserstein": StyleLoss(moments, wasserstein_target, wasserstein_distances),
}


def weighted_mean(losses: Sequence[Tensor], layer_weights: Tensor) -> Tensor:
    """``1/n · Σ w_l · loss_l`` over n layers."""
    return tf.reduce_mean(layer_weights * tf.stack(losses))


def content_distance(
    features: Tensor, target: Tensor, limit: Tensor | None = None, protected: Tensor | None = None
) -> Tensor:
    """``D = mean((F − F_c)²)``; with a limit τ ``D · (D / (τ · mean(F_c²)))⁵``.

    The power keeps D near the limit, whatever draws the picture away from the photo: at one weight, calm and loud
    paintings lead to about the same distance (docs/decisions.md).

    What is protected, m, stays out of D, which is of the rest then, ``mean((1 − m)(F − F_c)²)``, as far from the photo
    as without it. It has a term of its own, of ``mean(m(F − F_c)²)``, with a limit of ``PROTECTED_LIMIT`` at most, or
    weighs ``PROTECTION`` times as much without one.

    Args:
        features: F, ``[1, H, W, C]``.
        target: F_c, float32, of the same shape.
        limit: the part of F_c that may be lost; None for no limit.
        protected: m, ``[1, h, w, 1]`` in [0, 1]; None for nothing.
    """
    held = None if protected is None else _shares(features, protected)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(features: Tensor) -> Any:
        difference = tf.cast(features, tf.float32) - target
        if held is None:
            loss, slope = _limited(tf.square(difference), tf.square(target), limit)
        else:
            rest = 1.0 - held
            loss, slope = _limited(rest * tf.square(difference), rest * tf.square(target), limit)
            if limit is None:
                of_held = PROTECTION * tf.reduce_mean(held * tf.square(difference)), PROTECTION
            else:
                most = tf.minimum(limit, PROTECTED_LIMIT)
                of_held = _limited(held * tf.square(difference), held * tf.square(target), most)
            loss += of_held[0]
            slope = rest * slope + held * of_held[1]

        def gradient(upstream: Tensor) -> Tensor:
            factor = 2.0 * slope * upstream / tf.cast(tf.size(features), tf.float32)
            return tf.cast(factor * difference, features.dtype)

        return loss, gradient

    return compute(features)


def _limited(squares: Tensor, whole: Tensor, limit: Tensor | None) -> tuple[Tensor, Tensor]:
    """``D · (D / (τ · W))⁵`` of the means D and W, or D without a limit, and its derivative by D."""
    distance = tf.reduce_mean(squares)
    if limit is None:
        return distance, 1.0
    power = tf.math.divide_no_nan(distance, limit * tf.reduce_mean(whole)) ** CONTENT_POWER
    return distance * power, (1 + CONTENT_POWER) * power


def total_variation_loss(image: Tensor) -> Tensor:
    """``Σ|Δx| + Σ|Δy|`` over the pixels and channels of an image ``[1, H, W, 3]``.

    ``tf.image.total_variation`` computes the same from strided slices, whose gradient takes seven times as long.
    """
    height, width = tf.unstack(tf.shape(image)[1:3])
    below, above = (tf.slice(image, [0, y, 0, 0], [1, height - 1, width, 3]) for y in (1, 0))
    right, left = (tf.slice(image, [0, 0, x, 0], [1, height, width - 1, 3]) for x in (1, 0))
    return tf.reduce_sum(tf.abs(below - above)) + tf.reduce_sum(tf.abs(right - left))


def temporal_loss(image: Tensor, picture: Tensor, weight: Tensor) -> Tensor:
    """``mean(c · (x − w)²)`` over the pixels and channels of an image ``[1, H, W, 3]`` (Ruder et al. 2016,
    https://arxiv.org/abs/1604.08610, eq. 8).

    Args:
        image: x.
        picture: w, of the same shape: what the frame before looks like here.
        weight: c, ``[1, H, W, 1]``.
    """
    return tf.reduce_mean(weight * tf.square(image - picture))
