"""What a picture has of its painting and of its photo, in numbers that eyes agree with better than with a loss.

Pictures are RGB ``[H, W, 3]`` float32 in [0, 1], all of about the same long side.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.engine.extractor import Extractor
from pipeline.engine.objective import gram_sums, shares
from pipeline.manifest.parameters import STYLE_LAYERS

Image = npt.NDArray[np.float32]

QUANTILES = np.linspace(0.005, 0.995, 200)
DIRECTIONS = 64
HIGHEST = 0.45  # cycles a pixel; what is beyond is grain
UNUSED_LAYERS = ("block2_conv2", "block3_conv3", "block4_conv3")  # that no recipe optimises
WAYS = 256  # in which their features are compared
EDGES = 0.9  # quantile of Sobel magnitudes from which there is an edge
TOLERANCE = 2  # pixels
TEXTURE_LAYER, TEXTURE_REACH = "block2_conv2", 9  # positions of 2 × 2 pixels, about whose mean features are texture
FLAT = 0.05  # of the photo's mean texture, below which it is flat
NEAR = 1 / 20  # of the long side, from what is not flat, for halos: as far as texture was seen to spill


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


def independent_measures(extractor: Extractor, picture: Image, photo: Image, painting: Image) -> dict[str, float]:
    """Those that no recipe has in its objective: ``sliced``, ``sliced/2``, ``sliced/4``, ``colour``, ``content`` (at
    block4_conv3), ``edges`` (F1), ``ghosts``, ``halo`` and ``speckle``."""
    found, target = (
        np.asarray(extractor.features(i[None], ["block4_conv3"])["block4_conv3"]) for i in (picture, photo)
    )
    sliced = {"sliced": 1.0, "sliced/2": 0.5, "sliced/4": 0.25}
    return {
        **{name: sliced_distance(extractor, picture, painting, part) for name, part in sliced.items()},
        "colour": color_distance(picture, painting),
        "content": relative_distance(found, target),
        "edges": edges_found(picture, photo),
        **ghosts(extractor, picture, photo, painting),
        "speckle": speckle(picture) / speckle(painting),
    }


_SIZES = {"style": 1.0, "style/2": 0.5, "style/4": 0.25}


def gram_distance(
    extractor: Extractor, picture: Image, painting: Image, ratio: float = 1.0, where: Image | None = None
) -> float:
    """The tutorial's style loss without its weight, both images reduced to ``ratio`` of their size; of the picture what
    a mask ``[H, W]`` in [0, 1] lets through."""
    grams = []
    for image, mask in ((picture, where), (painting, None)):
        everywhere = np.ones(image.shape[:2], np.float32) if mask is None else mask
        size = [round(side * ratio) for side in image.shape[:2]]
        scaled, scaled_mask = (tf.image.resize(i, size, "area") for i in (image[None], everywhere[None, ..., None]))
        found = extractor.features(scaled, STYLE_LAYERS)
        weights = {layer: tf.square(shares(scaled_mask, layer)) for layer in STYLE_LAYERS}
        grams.append(
            [gram_sums(found[layer], weights[layer]) / tf.reduce_sum(weights[layer]) for layer in STYLE_LAYERS]
        )
    return float(np.mean([tf.reduce_mean(tf.square(a - b)) for a, b in zip(*grams, strict=True)]))


def sliced_distance(extractor: Extractor, picture: Image, painting: Image, ratio: float = 1.0) -> float:
    """How far apart the features of ``UNUSED_LAYERS`` are wherever they stand, both images reduced to ``ratio`` of
    their size: the root mean square distance of 200 quantiles along 256 fixed directions (sliced Wasserstein distance),
    as part of the painting's own standard deviation along them; the mean of the layers."""
    rng, found = np.random.default_rng(0), []
    of_images = [
        extractor.features(
            tf.image.resize(i[None], [round(side * ratio) for side in i.shape[:2]], "area"), UNUSED_LAYERS
        )
        for i in (picture, painting)
    ]
    for layer in UNUSED_LAYERS:
        ours, theirs = (
            np.asarray(features[layer], np.float64).reshape(-1, features[layer].shape[-1]) for features in of_images
        )
        ways = rng.normal(size=(ours.shape[1], WAYS))
        ways /= np.linalg.norm(ways, axis=0)
        along = theirs @ ways
        apart = np.quantile(ours @ ways, QUANTILES, axis=0) - np.quantile(along, QUANTILES, axis=0)
        found.append(np.sqrt(np.mean(apart**2) / np.mean(along.var(0))))
    return float(np.mean(found))


def edges_found(picture: Image, photo: Image) -> float:
    """How well the photo's edges are the picture's: F1 with a tolerance of ``TOLERANCE`` pixels of Canny's edges (Sobel
    magnitudes, thinned, their upper tenth) of the lightness smoothed by 1 and by 2 pixels, the mean of both."""
    from scipy.ndimage import distance_transform_edt
    from skimage.feature import canny

    found = []
    for sigma in (1.0, 2.0):
        ours, theirs = (
            canny(_lab(image)[..., 0] / 100, sigma, EDGES, EDGES, use_quantiles=True) for image in (picture, photo)
        )
        precision, recall = (
            float(np.mean(distance_transform_edt(~other)[own] <= TOLERANCE)) if own.any() and other.any() else 0.0
            for own, other in ((ours, theirs), (theirs, ours))
        )
        found.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return float(np.mean(found))


def ghosts(extractor: Extractor, picture: Image, photo: Image, painting: Image) -> dict[str, float]:
    """What grew where the photo is flat: ``ghosts``, the texture gained there as part of the painting's own mean, and
    ``halo``, how many times as much was gained within ``NEAR`` of what is not flat as further away (NaN where
    the photo has no such places, or nothing was gained)."""
    from scipy.ndimage import distance_transform_edt

    of_picture, of_photo, of_painting = (_texture(extractor, image) for image in (picture, photo, painting))
    is_flat = of_photo < FLAT * of_photo.mean()
    gained = np.maximum(of_picture - of_photo, 0.0)
    away = distance_transform_edt(is_flat) > NEAR * max(is_flat.shape)
    near, far = (gained[is_flat & place].mean() if (is_flat & place).any() else np.nan for place in (~away, away))
    whole = gained[is_flat].mean() if is_flat.any() else np.nan
    return {"ghosts": float(whole / of_painting.mean()), "halo": float(near / far) if far else math.nan}


def _texture(extractor: Extractor, image: Image) -> npt.NDArray[np.float64]:
    """``Σ_c (F − mean F)²`` at each position of ``TEXTURE_LAYER``, the means of ``TEXTURE_REACH`` positions squared."""
    from scipy.ndimage import uniform_filter

    features = np.asarray(extractor.features(image[None], [TEXTURE_LAYER])[TEXTURE_LAYER], np.float64)[0]
    reach = (TEXTURE_REACH, TEXTURE_REACH, 1)
    texture: npt.NDArray[np.float64] = (uniform_filter(features**2, reach) - uniform_filter(features, reach) ** 2).sum(
        -1
    )
    return np.maximum(texture, 0.0)


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
