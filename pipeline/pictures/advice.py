"""What a photo's noise and colours suggest for its parameters. Images are RGB ``[H, W, 3]`` float32 in [0, 1].

scikit-image and PyWavelets are imported where they are needed: they take a moment.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]

DENOISE_FULL = 25 / 255  # standard deviation of the noise that `denoise: 1` removes
MEDIAN_OF_NORMAL = 0.6744897501960817  # of the absolute values of a normal distribution of standard deviation 1
VISIBLE_NOISE = 4 / 255  # below it there is little to gain; clean photos measure 1 to 3 of 255
CALM_TOTAL_VARIATION = 30.0

# Hasler and Süsstrunk 2003, "Measuring colorfulness in natural images": the limits of their scale in words.
COLORFULNESS = {0: "grey", 15: "slightly coloured", 33: "moderately coloured", 45: "averagely coloured"}
COLORFULNESS |= {59: "quite colourful", 82: "highly colourful", 109: "extremely colourful"}


def noise(image: Image) -> float:
    """The standard deviation of an image's noise, from its finest wavelets (Donoho and Johnstone 1994); 0 to 1.

    Where most of an image is flat (a screenshot, a channel of one value) it has none. scikit-image's ``estimate_sigma``
    leaves flat parts out, so that the edges of what is drawn count as noise, and nothing left over as NaN.
    """
    import pywt

    if min(image.shape[:2]) < 8:  # nothing left to tell noise from the picture by
        return 0.0
    finest = [pywt.dwtn(image[..., channel], "db2")["dd"] for channel in range(3)]
    return float(np.mean([np.median(np.abs(details)) for details in finest]) / MEDIAN_OF_NORMAL)


def denoised(image: Image, strength: float) -> Image:
    """The image after non-local means (Buades et al. 2005) for noise of ``strength × DENOISE_FULL``."""
    from skimage.restoration import denoise_nl_means

    sigma = strength * DENOISE_FULL
    if sigma == 0.0:
        return image
    patches: dict[str, Any] = {"patch_size": 5, "patch_distance": 6, "fast_mode": True}
    result: Image = denoise_nl_means(image, h=0.8 * sigma, sigma=sigma, channel_axis=-1, **patches)
    return np.clip(result, 0.0, 1.0).astype(np.float32).reshape(image.shape)  # of which a side of 1 is left out


def colorfulness(image: Image) -> float:
    """Hasler and Süsstrunk's measure: 0 for greys, above 109 for the most colourful pictures."""
    red, green, blue = np.moveaxis(image * 255.0, -1, 0)
    red_green, yellow_blue = red - green, 0.5 * (red + green) - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def in_words(colorfulness: float) -> str:
    """What a value of ``colorfulness`` means."""
    return next(words for limit, words in reversed(COLORFULNESS.items()) if colorfulness >= limit)


def suggested_denoise(noise: float) -> float:
    """The strength of ``denoised`` for a photo of this noise: none where it is hardly visible."""
    return 0.0 if noise < VISIBLE_NOISE else round(min(1.0, noise / DENOISE_FULL), 2)


def suggested_total_variation_weight(noise: float) -> float:
    """More for noisy photos, whose grain would be painted with the rest."""
    return CALM_TOTAL_VARIATION * float(np.clip(round(noise / VISIBLE_NOISE, 1), 1.0, 5.0))
