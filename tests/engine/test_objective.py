from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.engine import objective

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(1, 5, 7, 4)).astype(np.float32)


def test_the_gram_matrix_is_the_mean_of_outer_products() -> None:
    expected = sum(np.outer(f, f) for f in FEATURES.reshape(-1, 4)) / 35
    np.testing.assert_allclose(objective.gram_matrix(tf.constant(FEATURES)), expected, rtol=1e-5)


def test_its_gradient_is_the_one_of_the_formula() -> None:
    def plain(features: tf.Tensor) -> tf.Tensor:
        columns = tf.reshape(features, [-1, 4])
        return tf.matmul(columns, columns, transpose_a=True) / 35

    target = tf.constant(RNG.normal(size=(4, 4)).astype(np.float32))  # not symmetric, to see both products
    gradients = []
    for gram in (objective.gram_matrix, plain):
        x = tf.constant(FEATURES)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(gram(x) - target))
        gradients.append(tape.gradient(loss, x))
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


def test_bfloat16_features_are_summed_in_float32() -> None:
    # 40,000 ones: bfloat16 could not count beyond 256.
    ones = tf.ones([1, 200, 200, 2], tf.bfloat16)
    gram = objective.gram_matrix(ones)
    assert gram.dtype == tf.float32
    np.testing.assert_allclose(gram, np.ones((2, 2)), rtol=2**-8)


def test_style_loss_is_the_weighted_mean_over_layers() -> None:
    grams = [objective.gram_matrix(tf.constant(f)) for f in (FEATURES, 2 * FEATURES)]
    gram = grams[0].numpy()
    targets = [tf.zeros([4, 4]), tf.constant(gram)]
    expected = (3.0 * np.mean(gram**2) + 0.5 * np.mean((4 * gram - gram) ** 2)) / 2
    np.testing.assert_allclose(objective.style_loss(grams, targets, tf.constant([3.0, 0.5])), expected, rtol=1e-5)


def test_content_loss_is_the_mean_square_of_the_difference() -> None:
    loss = objective.content_loss([tf.constant(FEATURES)], [tf.constant(FEATURES + 0.5)], tf.constant([2.0]))
    np.testing.assert_allclose(loss, 0.5, rtol=1e-5)


def test_total_variation_is_a_sum_of_absolute_steps() -> None:
    image = np.zeros((1, 3, 3, 3), np.float32)
    image[0, 1, 1, 0] = 0.25
    assert float(objective.total_variation_loss(tf.constant(image))) == 1.0


class TestWasserstein:
    """Values against the formula in float64, by eigenvalues."""

    STYLE = RNG.gamma(2.0, size=(1, 9, 8, 4)).astype(np.float32)

    def distance(self, features: np.ndarray, style: np.ndarray) -> float:
        def moments(f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            columns = f.reshape(-1, f.shape[-1]).astype(np.float64)
            return columns.mean(0), np.cov(columns, rowvar=False, bias=True)

        def root(matrix: np.ndarray) -> np.ndarray:
            values, vectors = np.linalg.eigh(matrix)
            product: np.ndarray = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
            return product

        (mean, spread), (other_mean, other_spread) = moments(features), moments(style)
        shared = np.trace(root(root(other_spread) @ spread @ root(other_spread)))
        squared = np.sum((mean - other_mean) ** 2) + np.trace(spread) + np.trace(other_spread) - 2 * shared
        return float(objective.WASSERSTEIN_SCALE * squared / features.shape[-1])

    def ours(self, features: tf.Tensor, style: np.ndarray) -> tf.Tensor:
        loss = objective.STYLE_LOSSES["wasserstein"]
        return loss.distance(loss.statistics(features), loss.target(loss.statistics(tf.constant(style))))

    def test_it_is_the_distance_of_two_normal_distributions(self) -> None:
        found = self.ours(tf.constant(FEATURES), self.STYLE)
        np.testing.assert_allclose(found, self.distance(FEATURES, self.STYLE), rtol=1e-3)

    def test_it_is_nothing_for_the_style_itself(self) -> None:
        found = float(self.ours(tf.constant(self.STYLE), self.STYLE))
        assert abs(found) < 1e-3 * self.distance(FEATURES, self.STYLE)

    def test_its_gradient_is_that_of_the_formula(self) -> None:
        x = tf.constant(FEATURES)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = self.ours(x, self.STYLE)
        gradient = tape.gradient(loss, x).numpy()
        way = RNG.normal(size=FEATURES.shape)
        ahead, behind = (self.distance(FEATURES + s * 1e-4 * way, self.STYLE) for s in (1, -1))
        np.testing.assert_allclose(np.sum(gradient * way), (ahead - behind) / 2e-4, rtol=5e-3)

    def test_fewer_positions_than_channels_are_no_trouble(self) -> None:
        few = tf.constant(RNG.normal(size=(1, 1, 2, 16)).astype(np.float32))
        with tf.GradientTape() as tape:
            tape.watch(few)
            loss = self.ours(few, RNG.normal(size=(1, 2, 2, 16)).astype(np.float32))
        assert np.isfinite(loss.numpy())
        assert np.isfinite(tape.gradient(loss, few).numpy()).all()
