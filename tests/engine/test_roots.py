from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.engine import objective, roots
from pipeline.engine.extractor import Extractor
from pipeline.manifest.parameters import STYLE_LAYERS
from tests.conftest import per_position, picture

RNG = np.random.default_rng(2)
WAYS = [roots.by_decomposition, roots.by_products]


def exact(matrix: Any, floor: float = 0.0) -> tuple[float, Any]:
    """The trace of the root and half the inverse root, by eigenvalues in float64."""
    values, vectors = np.linalg.eigh(np.asarray(matrix, np.float64))
    found = np.sqrt(np.clip(values, 0, None) + floor)
    return float((found - np.sqrt(floor)).sum()), vectors * (0.5 / found) @ vectors.T


def of_rank(rank: int, size: int) -> Any:
    """A symmetric matrix ``[size, size]``, float32, whose eigenvalues are ``eigenvalues(rank)`` and nothing."""
    basis, _ = np.linalg.qr(RNG.normal(size=(size, rank)))
    return (basis * eigenvalues(rank) @ basis.T).astype(np.float32)


def eigenvalues(rank: int) -> Any:
    return np.geomspace(1, 0.1, rank)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rank", [1, 2, 7, 31, 63, 64])
def test_the_trace_is_that_of_the_root_whatever_the_rank(way: Any, rank: int) -> None:
    (found,), _ = way([tf.constant(of_rank(rank, 64))])
    # The roots of what rounding leaves of the eigenvalues that are nothing add up to some thousandths.
    np.testing.assert_allclose(found, np.sqrt(eigenvalues(rank)).sum(), rtol=1e-3, atol=6e-3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rank", [1, 2, 7, 31, 63, 64])
def test_the_gradient_is_half_the_inverse_root_where_the_matrix_is_not_nothing(way: Any, rank: int) -> None:
    matrix = of_rank(rank, 64)
    _, (gradient,) = way([tf.constant(matrix)])
    values, vectors = np.linalg.eigh(matrix.astype(np.float64))
    kept = vectors[:, -rank:]
    expected = np.diag(0.5 / np.sqrt(values[-rank:]))
    np.testing.assert_allclose(kept.T @ gradient.numpy() @ kept, expected, atol=2e-3 * expected.max())
    assert np.isfinite(gradient.numpy()).all()


@pytest.mark.parametrize("way", WAYS)
def test_matrices_of_several_sizes_and_scales_do_not_touch_each_other(way: Any) -> None:
    matrices = [of_rank(n, n) * scale for n, scale in ((4, 1e-6), (16, 1.0), (64, 1e6))]
    together, gradients = way([tf.constant(matrix) for matrix in matrices])
    for matrix, trace, gradient in zip(matrices, together, gradients, strict=True):
        expected, slope = exact(matrix)
        np.testing.assert_allclose(trace, expected, rtol=1e-3)
        np.testing.assert_allclose(gradient, slope, atol=1e-3 * np.abs(slope).max())


@pytest.mark.parametrize("way", WAYS)
def test_of_nothing_it_is_nothing(way: Any) -> None:
    (found,), (gradient,) = way([tf.zeros([8, 8])])
    assert abs(float(found)) < 1e-12
    assert np.isfinite(gradient.numpy()).all()


@pytest.mark.parametrize("size", [64, 128])
def test_by_products_the_gradient_of_real_features_is_at_least_as_exact(
    real_kernels: dict[str, Any], size: int
) -> None:
    photo, painting = (np.asarray(picture(size, size, seed).convert("RGB"), np.float32) / 255 for seed in (1, 2))
    extractor = Extractor(real_kernels, "float32")
    for layer in STYLE_LAYERS:
        of_photo, of_painting = (
            per_position(objective.moment_sums, extractor.features(image[None], [layer])[layer])
            for image in (photo, painting)
        )
        factor = objective.wasserstein_target(of_painting).factor.numpy().astype(np.float64)
        mean = of_photo[-1:].numpy()
        covariance = (of_photo[:-1].numpy() - mean.T @ mean).astype(np.float64)
        matrix = factor @ covariance @ factor.T
        trace, inverse = exact(matrix, floor=1e-9 * np.linalg.eigvalsh(matrix)[-1])
        slope = factor.T @ inverse @ factor  # what the loss takes of it
        errors = []
        for way in (roots.by_products, roots.by_decomposition):
            (found,), (gradient,) = way([tf.constant(matrix, tf.float32)])
            np.testing.assert_allclose(found, trace, rtol=0.02)
            ours = factor.T @ gradient.numpy().astype(np.float64) @ factor
            errors.append(float(np.linalg.norm(ours - slope)))
        assert errors[0] <= errors[1], layer
