from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

from pipeline.pictures import advice, color, images
from tests.conftest import picture

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


@pytest.mark.parametrize("shape", [(1, 64, 3), (64, 1, 3), (1, 1, 3)])
def test_a_photo_of_one_pixel_keeps_its_shape_without_noise(shape: tuple[int, ...]) -> None:
    assert advice.denoised(np.full(shape, 0.5, np.float32), 0.5).shape == shape


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


def grain(*shape: int, depth: type = np.uint8) -> Any:
    return np.random.default_rng(0).integers(0, np.iinfo(depth).max, shape, depth)


def without(channel: int) -> Image.Image:
    pixels = np.asarray(picture()).copy()
    pixels[..., channel] = 0
    return Image.fromarray(pixels)


def screenshot() -> Image.Image:
    """A terminal's."""
    image = Image.new("RGB", (320, 200), (40, 0, 40))
    for line in range(12):
        ImageDraw.Draw(image).text((4, 16 * line), "stylistic run --until 07:00 && ls outbox", (255, 255, 255))
    return image


# Pictures that leave an estimate nothing to go by, by what is odd about them.
ODD: dict[str, Image.Image] = {
    "no red": without(0),
    "no blue": without(2),
    "black": Image.new("RGB", (80, 64)),
    "white": Image.new("L", (80, 64), 255),
    "one colour": Image.new("RGB", (80, 64), (9, 200, 33)),
    "one pixel": Image.new("RGB", (1, 1), (9, 200, 33)),
    "one row": picture(80, 1),
    "one column": picture(1, 80),
    "seven rows": picture(80, 7),
    "two colours": Image.fromarray(np.indices((64, 80)).sum(0) // 8 % 2 == 1),
    "two grey levels of one": Image.fromarray((np.indices((64, 80)).sum(0) // 16 % 2).astype(np.uint8)),
    "grey": picture().convert("L"),
    "a screenshot": screenshot(),
    "alpha only": Image.merge("LA", (Image.new("L", (80, 64)), Image.fromarray(grain(64, 80)))),
    "all transparent": Image.new("RGBA", (80, 64), (0, 0, 0, 0)),
    "16 bits": Image.fromarray(grain(64, 80, depth=np.uint16)),
    "16 bits, black": Image.new("I;16", (80, 64)),
    "a palette": picture().convert("P", palette=Image.Palette.ADAPTIVE),
    "a palette of one": Image.new("P", (80, 64)),
    "one level of noise": Image.fromarray(grain(64, 80, 3) // 128 + 100),
}


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
def test_a_value_that_is_no_number_spoils_no_other(tmp_path: Path, wrong: float) -> None:
    pixels = np.asarray(picture().convert("L"), np.float32) / 255
    pixels[:9, 5] = wrong
    Image.fromarray(pixels).save(tmp_path / "odd.tif")
    odd = images.load(tmp_path / "odd.tif", 80, "odd.tif", 100_000).rgb
    assert np.abs(odd[10:, :, 0] - pixels[10:]).max() < 0.003
    assert math.isfinite(advice.noise(odd) + advice.colorfulness(odd))


@pytest.mark.parametrize("what", ODD)
def test_every_estimate_of_an_odd_picture_is_a_number(tmp_path: Path, what: str) -> None:
    ODD[what].save(tmp_path / "odd.png")
    odd = images.load(tmp_path / "odd.png", 80, "odd.png", 100_000).rgb
    noise = advice.noise(odd)
    found = [noise, advice.colorfulness(odd), advice.suggested_denoise(noise)]
    found.append(advice.suggested_total_variation_weight(noise))
    for result in (advice.denoised(odd, 0.5), color.matched(odd, PHOTO), color.matched(PHOTO, odd)):
        found += [float(result.min()), float(result.max())]
    assert all(map(math.isfinite, found)), found
    assert advice.in_words(found[1])


NOISY = {"16 bits", "alpha only", "grey"}


def sharpness(image: Any) -> float:
    return float(sum(np.abs(np.diff(image, axis=axis)).sum() for axis in (0, 1)))


@pytest.mark.parametrize("what", sorted(set(ODD) - NOISY))
def test_an_odd_picture_is_not_smeared(tmp_path: Path, what: str) -> None:
    ODD[what].save(tmp_path / "odd.png")
    odd = images.load(tmp_path / "odd.png", max(ODD[what].size), "odd.png", 100_000).rgb
    cleaned = advice.denoised(odd, advice.suggested_denoise(advice.noise(odd)))
    assert sharpness(cleaned) >= 0.8 * sharpness(odd)


@pytest.mark.parametrize("channel", range(3))
def test_a_channel_of_one_value_leaves_the_others_their_noise(channel: int) -> None:
    clean, grainy = PHOTO.copy(), noisy(12)
    clean[..., channel] = grainy[..., channel] = 0.5
    assert advice.suggested_denoise(advice.noise(clean)) == 0.0
    assert advice.suggested_denoise(advice.noise(grainy)) == pytest.approx(0.32, abs=0.07)
