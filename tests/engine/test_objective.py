from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.engine import objective
from tests.conftest import per_position

gram_matrix = functools.partial(per_position, objective.gram_sums)
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(1, 5, 7, 4)).astype(np.float32)


def content_distance(features: Any, target: Any, limit: Any = None, protected: Any = None) -> Any:
    where = [] if protected is None else [protected]
    activations = tf.cast(tf.size(features), tf.float32)
    sums, whole = (objective.content_sums(f, target, *where) / activations for f in (features, tf.zeros_like(features)))
    return objective.content_distance(sums, whole, limit)


def test_the_gram_matrix_is_the_mean_of_outer_products() -> None:
    expected = sum(np.outer(f, f) for f in FEATURES.reshape(-1, 4)) / 35
    np.testing.assert_allclose(gram_matrix(tf.constant(FEATURES)), expected, rtol=1e-5)


def test_its_gradient_is_the_one_of_the_formula() -> None:
    def plain(features: tf.Tensor) -> tf.Tensor:
        columns = tf.reshape(features, [-1, 4])
        return tf.matmul(columns, columns, transpose_a=True) / 35

    target = tf.constant(RNG.normal(size=(4, 4)).astype(np.float32))  # not symmetric, to see both products
    gradients = []
    for gram in (gram_matrix, plain):
        x = tf.constant(FEATURES)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(gram(x) - target))
        gradients.append(tape.gradient(loss, x))
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


def test_bfloat16_features_are_summed_in_float32() -> None:
    # 40,000 ones: bfloat16 could not count beyond 256.
    ones = tf.ones([1, 200, 200, 2], tf.bfloat16)
    gram = gram_matrix(ones)
    assert gram.dtype == tf.float32
    np.testing.assert_allclose(gram, np.ones((2, 2)), rtol=2**-8)


def test_a_gram_distance_is_the_mean_square_of_the_difference() -> None:
    gram = gram_matrix(tf.constant(FEATURES))
    found = objective.gram_distances([gram_matrix(tf.constant(2 * FEATURES)), gram], [gram, gram])
    np.testing.assert_allclose(found, [np.mean((3 * gram.numpy()) ** 2), 0], rtol=1e-5)


def test_losses_are_averaged_by_weight_over_layers() -> None:
    found = objective.weighted_mean([tf.constant(2.0), tf.constant(8.0)], tf.constant([3.0, 0.5]))
    assert float(found) == 5.0


def test_content_loss_is_the_mean_square_of_the_difference() -> None:
    loss = content_distance(tf.constant(FEATURES), tf.constant(FEATURES + 0.5))
    np.testing.assert_allclose(loss, 0.25, rtol=1e-5)


def test_content_counts_by_a_power_of_what_is_lost_over_the_limit() -> None:
    def lost(part: float) -> float:
        features = tf.constant((1 - np.sqrt(part)) * FEATURES, tf.float32)
        return float(content_distance(features, tf.constant(FEATURES), tf.constant(0.5)))

    whole = float(np.mean(FEATURES**2))
    np.testing.assert_allclose([lost(0.25), lost(0.5), lost(1.0)], [whole / 128, whole / 2, whole * 32], rtol=1e-4)


@pytest.mark.parametrize("limit", [None, 0.5, 0.01])
def test_what_is_protected_counts_for_itself_and_the_rest_as_if_it_were_alone(limit: float | None) -> None:
    """Of hard edges: the parts' own losses by their shares, with the protected part's lower limit, or its weight."""
    features, target = (tf.constant(RNG.gamma(2.0, size=(1, 6, 8, 4)).astype(np.float32)) for _ in range(2))
    where = np.zeros((1, 6, 8, 1), np.float32)
    where[:, :3] = 1
    limited = None if limit is None else tf.constant(limit)
    lower_limit = None if limit is None else objective.protected_limit(limit)
    upper = content_distance(features[:, :3], target[:, :3], lower_limit)
    lower = content_distance(features[:, 3:], target[:, 3:], limited)
    apart = 0.5 * upper * (objective.PROTECTION if limit is None else 1.0) + 0.5 * lower
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features)
        loss = content_distance(features, target, limited, tf.constant(where))
        shares = tf.constant(where)
        squares = tf.square(features - target)
        held, rest = tf.reduce_mean(shares * squares), tf.reduce_mean((1 - shares) * squares)
        if limited is None:
            plain = objective.PROTECTION * held + rest
        else:
            of_held = objective.protected_limit(limit) * tf.reduce_mean(shares * target**2)
            of_rest = limited * tf.reduce_mean((1 - shares) * target**2)
            plain = held * (held / of_held) ** 5 + rest * (rest / of_rest) ** 5
    np.testing.assert_allclose(loss, apart, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, features), tape.gradient(plain, features), rtol=1e-3)


def test_nothing_and_everything_can_be_protected() -> None:
    features, target = (tf.constant(RNG.gamma(2.0, size=(1, 6, 8, 4)).astype(np.float32)) for _ in range(2))
    limit = tf.constant(0.5)
    none = content_distance(features, target, limit, tf.zeros([1, 6, 8, 1]))
    np.testing.assert_allclose(none, content_distance(features, target, limit), rtol=1e-6)
    whole = content_distance(features, target, limit, tf.ones([1, 6, 8, 1]))
    lower = objective.protected_limit(limit)
    np.testing.assert_allclose(whole, content_distance(features, target, lower), rtol=1e-5)


def test_what_is_protected_may_lose_more_at_a_higher_strength_but_no_more_than_leaves_a_face() -> None:
    limits = [float(objective.protected_limit(tf.constant(limit))) for limit in (0.25, 0.5, 1.0, 1.5, 1000.0)]
    np.testing.assert_allclose(limits, [0.05, 0.1, 0.2, 0.2, 0.2], rtol=1e-6)


@pytest.mark.parametrize(("limit", "least"), [(None, 0.25), (0.5, 0.2**0.5), (3.2, 0.25)])
def test_what_is_protected_moves_by_as_much_less_as_it_may_lose(limit: float | None, least: float) -> None:
    limited = None if limit is None else tf.constant(limit)
    found = objective.mobility(tf.constant([0.0, 0.5, 1.0]), limited)
    np.testing.assert_allclose(found, [1.0, (1.0 + least) / 2, least], rtol=1e-6)


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

    def ours(self, features: tf.Tensor, style: np.ndarray, mask: Any = None) -> tf.Tensor:
        loss = objective.STYLE_LOSSES["wasserstein"]
        target = loss.target(per_position(loss.sums, tf.constant(style)))
        weights = [] if mask is None else [tf.square(mask)]
        return loss.distances([per_position(loss.sums, features, *weights)], [target])[0]

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

    def test_of_few_positions_it_is_what_it_is_of_each_of_them_three_times(self) -> None:
        few = RNG.gamma(2.0, size=(1, 2, 4, 16)).astype(np.float32)
        many = np.tile(few, (1, 3, 1, 1))
        style = RNG.gamma(2.0, size=(1, 9, 8, 16)).astype(np.float32)
        values, gradients = [], []
        for features in (few, many):
            x = tf.constant(features)
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = self.ours(x, style)
            values.append(loss.numpy())
            gradients.append(tape.gradient(loss, x).numpy())
        np.testing.assert_allclose(values[0], values[1], rtol=1e-3)
        np.testing.assert_allclose(values[0], self.distance(few, style), rtol=2e-3)
        np.testing.assert_allclose(
            gradients[0], 3 * gradients[1][:, :2], rtol=2e-2, atol=1e-2 * np.abs(gradients[0]).max()
        )

    def test_a_mask_is_as_if_the_rest_were_not_there(self) -> None:
        mask = np.zeros((1, 5, 7, 1), np.float32)
        mask[:, :, :4] = 1
        found = self.ours(tf.constant(FEATURES), self.STYLE, tf.constant(mask))
        np.testing.assert_allclose(found, self.distance(FEATURES[:, :, :4], self.STYLE), rtol=1e-3)

    def test_a_half_transparent_mask_changes_nothing(self) -> None:
        found = self.ours(tf.constant(FEATURES), self.STYLE, tf.fill([1, 5, 7, 1], 0.5))
        np.testing.assert_allclose(found, self.distance(FEATURES, self.STYLE), rtol=1e-3)

    def test_in_bfloat16_it_is_the_same_to_a_part_in_fifty(self) -> None:
        features = tf.constant(FEATURES)
        exact, rough = (self.ours(tf.cast(features, kind), self.STYLE) for kind in (tf.float32, tf.bfloat16))
        np.testing.assert_allclose(rough, exact, rtol=0.02)

    def test_the_directions_of_most_variance_are_kept(self) -> None:
        spread = np.diag(np.arange(1, 513, dtype=np.float32))
        target = objective.wasserstein_target(tf.constant(np.concatenate([spread, np.zeros((1, 512), np.float32)])))
        factor = target.factor.numpy()
        assert factor.shape == (objective.DIRECTIONS, 512)
        kept = np.diag(factor.T @ factor)
        np.testing.assert_allclose(kept[256:], np.arange(257, 513), rtol=1e-4)
        np.testing.assert_allclose(kept[:256], 0, atol=1e-3)


def test_the_temporal_loss_is_the_mean_square_of_the_difference_where_it_counts() -> None:
    image, picture = (tf.constant(RNG.random((1, 4, 6, 3)).astype(np.float32)) for _ in range(2))
    weight = np.zeros((1, 4, 6, 1), np.float32)
    weight[:, :2] = 5
    found = objective.temporal_loss(image, picture, tf.constant(weight))
    expected = 2.5 * np.mean((image.numpy() - picture.numpy())[:, :2] ** 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
