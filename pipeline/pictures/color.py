"""Whose colours a picture has: Gatys et al. 2016, "Preserving color in neural artistic style transfer"
(https://arxiv.org/abs/1606.05897). Images are RGB ``[H, W, 3]`` float32 in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def with_luminance(photo: Image, picture: Image) -> Image:
    """The photo's colours in the light and dark of a picture of its size.

    Each pixel has the picture's luminance and the photo's chroma, the latter scaled down where it would leave [0, 1],
    so that neither luminance nor hue is clipped.
    """
    luminance = (picture @ LUMA)[..., None]
    chroma = photo - (photo @ LUMA)[..., None]
    room = np.where(chroma > 0, 1.0 - luminance, luminance)
    scale = np.min(room / np.maximum(np.abs(chroma), 1e-6), axis=-1, keepdims=True)
    result: Image = np.clip(luminance + chroma * np.minimum(scale, 1.0), 0.0, 1.0).astype(np.float32)
    return result


def matched(style: Image, photo: Image) -> Image:
    """The style image with the mean and covariance of the photo's colours, by the symmetric map ``Σ_p^½ Σ_s^-½``."""
    mean, spread = _moments(style)
    wanted_mean, wanted_spread = _moments(photo)
    change = _power(wanted_spread, 0.5) @ _power(spread, -0.5)
    moved = (style.reshape(-1, 3) - mean) @ change.T + wanted_mean
    result: Image = np.clip(moved, 0.0, 1.0).astype(np.float32).reshape(style.shape)
    return result


def _moments(image: Image) -> tuple[Any, Any]:
    pixels = image.reshape(-1, 3).astype(np.float64)
    # The ridge stands for pictures of one colour, such as greys, which have no inverse.
    return pixels.mean(0), np.cov(pixels, rowvar=False, bias=True) + 1e-6 * np.eye(3)


def _power(matrix: Any, exponent: float) -> Any:
    values, vectors = np.linalg.eigh(matrix)
    return vectors * values**exponent @ vectors.T
