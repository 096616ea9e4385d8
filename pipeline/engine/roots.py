"""Traces of square roots of symmetric, positive semidefinite matrices, and their gradients ``½ A^-½``.

No difference of eigenvalues is in them, which makes the gradient of a decomposition unstable. By decomposition on a
CPU; on a GPU, whose decompositions are slow and come one after another, by products of all matrices at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Tensor = Any  # TensorFlow ships no types

FLOOR = 1e-7  # of the largest eigenvalue: float32 tells nothing below it
# Odd quintics ax + bx³ + dx⁵, each the best for the interval that the one before leaves of [1e-4, 1] (Polar Express,
# Amsel et al. 2025, https://arxiv.org/abs/2505.16932), with its margin of a hundredth; then Newton and Schulz's.
_MARGIN = 1.01
_BEST = (
    (8.2051, -22.9019, 16.4607),
    (4.0664, -2.8612, 0.5184),
    (3.9096, -2.8234, 0.5250),
    (3.2856, -2.4153, 0.4853),
    (2.2779, -1.6198, 0.3985),
    (1.8726, -1.2307, 0.3585),
    (1.8564, -1.2132, 0.3568),
)
QUINTICS = [(a / _MARGIN, b / _MARGIN**3, d / _MARGIN**5) for a, b, d in _BEST] + 2 * [(1.875, -1.25, 0.375)]
RIDGE = 1e-8  # of the norm: where the quintics begin to tell an eigenvalue from nothing


def traces(matrices: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """``tr A^½`` of matrices ``[n, n]``, ``[matrices]``, and its gradient by each ``[n, n]``; float32."""
    by = by_products if tf.config.get_visible_devices("GPU") else by_decomposition
    return by(matrices)


def by_decomposition(matrices: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """As ``traces``, by eigenvalues."""
    found, gradients = [], []
    for matrix in matrices:
        values, vectors = tf.linalg.eigh(matrix)
        values = tf.maximum(values, 0.0)
        floor = FLOOR * values[-1] + 1e-30
        roots = tf.sqrt(values + floor)
        found.append(tf.reduce_sum(roots - tf.sqrt(floor)))
        gradients.append(tf.matmul(vectors * (0.5 / roots), vectors, transpose_b=True))
    return tf.stack(found), gradients


def by_products(matrices: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """As ``traces``, by the coupled iteration ``Y ← Y p(ZY)``, ``Z ← p(ZY) Z`` with Y → A^½, Z → A^-½ (Higham,
    Functions of Matrices, 6.7), of all matrices padded to the largest. The products have to be float32's own, not
    TF32's."""
    sizes = [matrix.shape[0] for matrix in matrices]
    largest = max(sizes)
    own = np.stack([np.diag(np.arange(largest) < size) for size in sizes]).astype(np.float32)
    identity = np.eye(largest, dtype=np.float32)
    stacked = tf.stack([tf.pad(m, [[0, largest - size]] * 2) for m, size in zip(matrices, sizes, strict=True)])
    norm = _MARGIN * tf.sqrt(tf.reduce_sum(tf.square(stacked), [1, 2], keepdims=True)) + 1e-30
    y, z = stacked / norm + RIDGE * own, tf.constant(own)
    for a, b, d in QUINTICS:
        zy = z @ y
        zy = 0.5 * (zy + tf.linalg.matrix_transpose(zy))
        p = a * identity + b * zy + d * (zy @ zy)
        y, z = y @ p, p @ z
    found = tf.sqrt(norm[:, 0, 0]) * tf.reduce_sum(y * identity, [1, 2])
    gradient = (z + tf.linalg.matrix_transpose(z)) * (0.25 / tf.sqrt(norm))
    parts = zip(tf.unstack(gradient), sizes, strict=True)
    return found, [part[:size, :size] for part, size in parts]
