from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage import data

from pipeline.pictures import advice

PHOTO: Any = data.chelsea().astype(np.float32) / 255  # a cat


def noisy(standard_deviation: float) -> Any:
    grain = np.random.default_rng(0).normal(0, standard_deviation / 255, PHOTO.shape)
    return np.clip(PHOTO + grain, 0, 1).astype(np.float32)


@pytest.mark.parametrize("added", [5, 10, 25])
def test_the_noise_of_a_photo_is_found(added: int) -> None:
    assert advice.noise(PHOTO) * 255 < 2
    assert advice.noise(noisy(added)) * 255 == pytest.approx(added, rel=0.2)


def test_denoising_brings_a_noisy_photo_back() -> None:
    grainy = noisy(12)
    cleaned = advice.denoised(grainy, advice.suggested_denoise(advice.noise(grainy)))
    assert np.mean((cleaned - PHOTO) ** 2) < 0.35 * np.mean((grainy - PHOTO) ** 2)
    assert cleaned.dtype == np.float32
    np.testing.assert_array_equal(advice.denoised(PHOTO, 0.0), PHOTO)


def test_a_clean_photo_is_left_alone_and_noise_asks_for_more() -> None:
    clean, grainy = advice.noise(PHOTO), advice.noise(noisy(12))
    assert advice.suggested_denoise(clean) == 0.0
    assert advice.suggested_denoise(grainy) == pytest.approx(0.48, abs=0.1)
    assert advice.suggested_total_variation_weight(clean) == 30.0
    assert 60.0 < advice.suggested_total_variation_weight(grainy) <= 150.0


def test_colourfulness_is_in_words() -> None:
    grey = np.repeat(PHOTO.mean(-1, keepdims=True), 3, axis=-1)
    assert advice.in_words(advice.colorfulness(grey)) == "grey"
    assert advice.in_words(advice.colorfulness(PHOTO)) == "moderately coloured"
    saturated = np.random.default_rng(0).integers(0, 2, (32, 32, 3)).astype(np.float32)
    assert advice.in_words(advice.colorfulness(saturated)) == "extremely colourful"


def test_a_picture_of_a_few_pixels_is_no_trouble() -> None:
    assert advice.noise(PHOTO[:3, :40]) == 0.0
