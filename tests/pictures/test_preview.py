"""Small pictures for a page."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.pictures.images import Picture
from pipeline.pictures.preview import preview


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


@pytest.mark.parametrize(("size", "small"), [((800, 600), (480, 360)), ((30, 900), (16, 480)), ((64, 48), (64, 48))])
def test_a_preview_is_never_larger_than_asked_nor_than_its_picture(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    width, height = size
    rgb: Any = np.full((height, width, 3), 0.5, np.float32)
    image = shown(preview(Picture(rgb, None), 480))
    assert (image.size, image.mode) == (small, "RGB")
    assert np.asarray(image).mean() == pytest.approx(128, abs=2)
    assert shown(preview(Image.new("RGB", size), 480)).size == small


def test_what_is_transparent_stays_so() -> None:
    alpha = np.zeros((60, 80), np.uint8)
    alpha[:, 40:] = 255
    found = shown(preview(Picture(np.ones((60, 80, 3), np.float32), alpha), 40)).convert("RGBA").getchannel("A")
    assert (found.getpixel((2, 15)), found.getpixel((37, 15))) == (0, 255)
