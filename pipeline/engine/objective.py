"""The objective of Gatys et al. (2015, https://arxiv.org/abs/1508.06576), scaled as in TensorFlow's tutorial.

Features are ``[1, H, W, C]`` tensors in the precision of the extractor; every loss is a float32 scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.engine import roots
from pipeline.engine.extractor import Head
from pipeline.engine.roots import Tensor
from pipeline.manifest.schedule import block

WASSERSTEIN_SCALE = 1e4  # about what the same style_weight needs with Gram matrices
DIRECTIONS = 256  # in which a style's features spread most; at 512 channels they hold 99 % of the variance
CONTENT_POWER = 5  # of the distance beyond the limit
PROTECTION = 16.0  # times what content weighs elsewhere, where there is no limit
PROTECTED_PART = 0.2  # of the limit elsewhere: with less a face looks pasted in
PROTECTED_LIMIT = 0.2  # at most, which is that of strength 2: at 0.3 mouths are ragged


def gram_sums(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """``FᵀWF`` of features ``[1, H, W, C]``, a sum over their positions; float32 ``[C, C]``.

    Each position weighs W: ``weights`` ``[1, H, W, 1]``, or 1. Over the sum of the weights it is the Gram matrix, with
    the squares of a mask m that of ``m ⊙ F`` (Gatys et al. 2017, https://arxiv.org/abs/1611.07865, eq. 5).

    The gradient with respect to F is ``W F (dG + dGᵀ)``: one product where autodiff of the matmul takes two. In
    bfloat16 products are summed in float32 too; the sum is rounded, by a five-hundredth at most.
    """
    channels = features.shape[3]
    of_columns = None if weights is None else tf.cast(tf.reshape(weights, [-1, 1]), features.dtype)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(columns: Tensor) -> Any:
        weighted = columns if of_columns is None else columns * of_columns

        def gradient(upstream: Tensor) -> Tensor:
            slope = columns @ tf.cast(upstream + tf.transpose(upstream), columns.dtype)
            return slope if of_columns is None else slope * of_columns

        return tf.cast(tf.matmul(weighted, columns, transpose_a=True), tf.float32), gradient

    return compute(tf.reshape(features, [-1, channels]))


def gram_distances(statistics: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """``mean((G − target)²)`` of the Gram matrix ``[C, C]`` of each layer; ``[layers]``."""
    pairs = zip(statistics, targets, strict=True)
    return tf.stack([tf.reduce_mean(tf.square(gram - target)) for gram, target in pairs])


def moment_sums(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """``FᵀWF`` of features ``[1, H, W, C]`` and, as the last row, ``FᵀW1``, sums over their positions; float32
    ``[C + 1, C]``. Over the sum of the weights they are the second moments and the mean; weights are ``gram_sums``'.

    The products are in float32 whatever the features' precision, as a covariance is a difference and has no bits to
    spare; that of the gradient, ``W (F (dM + dMᵀ) + dμ)``, is in the features'.
    """
    channels = features.shape[3]
    of_columns = None if weights is None else tf.reshape(weights, [-1, 1])

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(columns: Tensor) -> Any:
        exact = tf.cast(columns, tf.float32)
        weighted = exact if of_columns is None else exact * of_columns
        product, total = tf.matmul(weighted, exact, transpose_a=True), tf.reduce_sum(weighted, 0, keepdims=True)

        def gradient(upstream: Tensor) -> Tensor:
            of_product, of_total = tf.split(upstream, [channels, 1])
            symmetric = tf.cast(of_product + tf.transpose(of_product), columns.dtype)
            slope = tf.nn.bias_add(columns @ symmetric, tf.cast(tf.reshape(of_total, [-1]), columns.dtype))
            return slope if of_columns is None else slope * tf.cast(of_columns, columns.dtype)

        return tf.concat([product, total], 0), gradient

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
        statistics: of the image, ``moment_sums`` over their weights ``[C + 1, C]``, one a layer.
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


def shares(mask: Tensor, layer: str) -> Tensor:
    """A mask ``[1, H, W, 1]`` of an image averaged down to the height and width of a layer."""
    return tf.image.resize(mask, size(mask, layer), "area")


def size(image: Tensor, layer: str) -> Tensor:
    """The height and width of a layer for an image ``[1, H, W, n]``."""
    return tf.shape(image)[1:3] // 2 ** (block(layer) - 1)


def style_heads(loss: StyleLoss, layers: Sequence[str], mask: Tensor | None) -> list[Head]:
    """What is added up of each layer where a mask ``[1, H, W, 1]`` of the image lets it; None for all."""
    return [Head(layer, loss.sums, [] if mask is None else [tf.square(shares(mask, layer))]) for layer in layers]


def style_statistics(heads: Sequence[Head], sums: Sequence[Tensor], image: Tensor) -> list[Tensor]:
    """Sums of ``style_heads`` over the weights of their positions."""
    found = []
    for head, of_layer in zip(heads, sums, strict=True):
        if head.beside:
            whole = tf.reduce_sum(head.beside[0]) + 1e-6
        else:
            whole = tf.cast(tf.reduce_prod(size(image, head.layer)), tf.float32)
        found.append(of_layer * (1.0 / whole))
    return found


class StyleLoss(NamedTuple):
    """How far an image is from a style."""

    # Of features and the weights of their positions. Over the sum of these it is a statistic, and a weighted mean of
    # several styles' statistics is a style's again.
    sums: Callable[..., Tensor]
    target: Callable[[Tensor], Any]  # what is kept of a style's statistics
    distances: Callable[[Sequence[Tensor], Sequence[Any]], Tensor]  # of an image's statistics from targets, by layer


STYLE_LOSSES = {
    "gram": StyleLoss(gram_sums, tf.identity, gram_distances),
    "wasserstein": StyleLoss(moment_sums, wasserstein_target, wasserstein_distances),
}


def weighted_mean(losses: Sequence[Tensor], layer_weights: Tensor) -> Tensor:
    """``1/n · Σ w_l · loss_l`` over n layers."""
    return tf.reduce_mean(layer_weights * tf.stack(losses))


def content_sums(features: Tensor, target: Tensor, protected: Tensor | None = None) -> Tensor:
    """``Σ(F − F_c)²``, or where something is protected, m, ``Σ(1 − m)(F − F_c)²`` and ``Σ m (F − F_c)²``.

    Args:
        features: F, ``[1, H, W, C]``.
        target: F_c, of the same shape.
        protected: m, ``[1, H, W, 1]`` in [0, 1]; None for nothing.

    Returns:
        Float32 ``[1]`` or ``[2]``.
    """
    parts = [1.0] if protected is None else [1.0 - protected, protected]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(features: Tensor) -> Any:
        difference = tf.cast(features, tf.float32) - tf.cast(target, tf.float32)

        def gradient(upstream: Tensor) -> Tensor:
            factor = tf.add_n([2.0 * part * of_part for part, of_part in zip(parts, tf.unstack(upstream), strict=True)])
            return tf.cast(factor * difference, features.dtype)

        return tf.stack([tf.reduce_sum(part * tf.square(difference)) for part in parts]), gradient

    return compute(features)


def content_distance(distances: Tensor, whole: Tensor, limit: Tensor | None = None) -> Tensor:
    """``D = mean((F − F_c)²)``; with a limit τ ``D · (D / (τ · mean(F_c²)))⁵``.

    The power keeps D near the limit, whatever draws the picture away from the photo: at one weight, calm and loud
    paintings lead to about the same distance (docs/decisions.md).

    What is protected stays out of D, which is of the rest then, as far from the photo as without it. It has a term of
    its own, with a limit of its own (``protected_limit``), or weighs ``PROTECTION`` times as much without one.

    Args:
        distances: ``content_sums`` over the number of activations.
        whole: likewise of a picture without features; of the rest, mostly its area's part of the whole picture's.
        limit: the part of F_c that may be lost; None for no limit.
    """
    if limit is None:
        return tf.tensordot(distances, [1.0, PROTECTION][: distances.shape[0]], 1)
    limits = tf.stack([limit, protected_limit(limit)][: distances.shape[0]])
    return tf.reduce_sum(distances * tf.math.divide_no_nan(distances, limits * whole) ** CONTENT_POWER)


def protected_limit(limit: Tensor) -> Tensor:
    """The part of F_c that may be lost of what is protected, where this is the limit elsewhere."""
    return tf.minimum(PROTECTED_PART * limit, PROTECTED_LIMIT)


def mobility(protected: Tensor, limit: Tensor | None = None) -> Tensor:
    """How far the search may move each pixel, as part of one that is not protected, ``[1, H, W, 1]`` in (0, 1]:
    ``1 − (1 − a) m``.

    Where content is held to within a distance r, the loss bends by 1 / r²; a is r as part of the rest's, the root of
    the ratio of the limits, or of the weights where there is none.

    Args:
        protected: m, ``[1, H, W, 1]`` in [0, 1].
        limit: as for ``content_distance``.
    """
    part = 1.0 / PROTECTION if limit is None else protected_limit(limit) / limit
    return 1.0 - (1.0 - tf.sqrt(part)) * protected


@tf.custom_gradient  # type: ignore[untyped-decorator]
def total_variation_loss(image: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """``Σ|Δx| + Σ|Δy|`` over the pixels and channels of an image ``[1, H, W, 3]``.

    The gradient, a sum of four signs by pixel, is all that is kept of it, in half precision.
    """
    height, width = tf.unstack(tf.shape(image)[1:3])
    total, slopes = tf.zeros([]), []
    for axis, rest in ((1, [1, height - 1, width, 3]), (2, [1, height, width - 1, 3])):
        after = [int(axis == other) for other in range(4)]
        # ``tf.image.total_variation`` has strided slices here, which take several times as long.
        step = tf.slice(image, after, rest) - tf.slice(image, [0, 0, 0, 0], rest)
        total += tf.reduce_sum(tf.abs(step))
        sign = tf.cast(tf.sign(step), tf.bfloat16)
        slopes += [tf.pad(sign, [[n, 0] for n in after]), -tf.pad(sign, [[0, n] for n in after])]
    slope = tf.add_n(slopes)
    return total, lambda upstream: upstream * tf.cast(slope, tf.float32)


def temporal_loss(image: Tensor, picture: Tensor, weight: Tensor) -> Tensor:
    """``mean(c · (x − w)²)`` over the pixels and channels of an image ``[1, H, W, 3]`` (Ruder et al. 2016,
    https://arxiv.org/abs/1604.08610, eq. 8).

    Args:
        image: x.
        picture: w, of the same shape: what the frame before looks like here.
        weight: c, ``[1, H, W, 1]``.
    """
    return tf.reduce_mean(weight * tf.square(image - picture))
