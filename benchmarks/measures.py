"""What a picture has of its painting and of its photo, in numbers that eyes agree with better than with a loss.

Pictures are RGB ``[H, W, 3]`` float32 in [0, 1], all of about the same long side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.engine.extractor import Extractor
from pipeline.engine.objective import gram_sums
from pipeline.manifest.parameters import STYLE_LAYERS

Image = npt.NDArray[np.float32]

QUANTILES = np.linspace(0.005, 0.995, 200)
DIRECTIONS = 64
HIGHEST = 0.45  # cycles a pixel; what is beyond is grain


def measures(extractor: Extractor, picture: Image, photo: Image, painting: Image) -> dict[str, float]:
    """All of this page, by name: ``style``, ``style/2``, ``style/4`` (Gram distances at full, half and quarter size),
    ``colour``, ``content``, ``content5``, ``correlation``, ``speckle`` and ``grain`` (parts of the painting's own)."""
    features, targets = (_content_features(extractor, image) for image in (picture, photo))
    return {
        **{name: gram_distance(extractor, picture, painting, part) for name, part in _SIZES.items()},
        "colour": color_distance(picture, painting),
        "content": relative_distance(features["block4_conv2"], targets["block4_conv2"]),
        "content5": relative_distance(features["block5_conv2"], targets["block5_conv2"]),
        "correlation": correlation(features["block4_conv2"], targets["block4_conv2"]),
        "speckle": speckle(picture) / speckle(painting),
        "grain": highest_frequencies(picture) / highest_frequencies(painting),
    }


_SIZES = {"style": 1.0, "style/2": 0.5, "style/4": 0.25}


def gram_distance(extractor: Extractor, picture: Image, painting: Image, ratio: float = 1.0) -> float:
    """The tutorial's style loss without its weight, both images reduced to ``ratio`` of their size."""
    grams = []
    for image in (picture, painting):
        size = [round(side * ratio) for side in image.shape[:2]]
        scaled = tf.image.resize(image[None], size, "area")
        found = extractor.features(scaled, STYLE_LAYERS)
        grams.append([gram_sums(f) / f.shape[1] / f.shape[2] for f in (found[layer] for layer in STYLE_LAYERS)])
    return float(np.mean([tf.reduce_mean(tf.square(a - b)) for a, b in zip(*grams, strict=True)]))


def relative_distance(features: Any, target: Any) -> float:
    """``‖F − F_c‖² / ‖F_c‖²``: 0 for the photo itself, about 1 where nothing is left of it."""
    return float(np.sum((features - target) ** 2) / np.sum(target**2))


def correlation(features: Any, target: Any) -> float:
    """Of features ``[H, W, C]`` with the photo's, each channel's mean removed: 1 for the photo itself."""
    a, b = (found - found.mean((0, 1)) for found in (features, target))
    return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))


def color_distance(picture: Image, painting: Image) -> float:
    """How far apart the colours are, wherever they stand, in CIELAB (D65): the root mean square distance of 200
    quantiles along 64 directions (sliced Wasserstein distance)."""
    ways = np.random.default_rng(0).normal(size=(3, DIRECTIONS))
    ways /= np.linalg.norm(ways, axis=0)
    of_picture, of_painting = (
        np.quantile(_lab(image).reshape(-1, 3) @ ways, QUANTILES, axis=0) for image in (picture, painting)
    )
    return float(np.sqrt(np.mean((of_picture - of_painting) ** 2)))


def speckle(image: Image) -> float:
    """The root mean square of a* and b* less their median of 3×3 pixels: single pixels of another colour."""
    from skimage.filters import median

    chroma = _lab(image)[..., 1:]
    return float(np.sqrt(np.mean((chroma - median(chroma, np.ones((3, 3, 1)))) ** 2)))


def highest_frequencies(image: Image) -> float:
    """The share of the energy of L* (mean removed, Hann window) beyond ``HIGHEST`` in x or y."""
    lightness = _lab(image)[..., 0]
    window = np.hanning(lightness.shape[0])[:, None] * np.hanning(lightness.shape[1])
    energy = np.abs(np.fft.fft2((lightness - lightness.mean()) * window)) ** 2
    rows, columns = (np.abs(np.fft.fftfreq(length)) for length in lightness.shape)
    return float(energy[(rows[:, None] > HIGHEST) | (columns > HIGHEST)].sum() / energy.sum())


def _lab(image: Image) -> npt.NDArray[np.float64]:
    from skimage.color import rgb2lab

    lab: npt.NDArray[np.float64] = rgb2lab(image.astype(np.float64))
    return lab


def _content_features(extractor: Extractor, image: Image) -> dict[str, Any]:
    found = extractor.features(image[None], ["block4_conv2", "block5_conv2"])
    return {layer: np.asarray(values, np.float64)[0] for layer, values in found.items()}
