"""Panoramas, and the size that would do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pipeline.jobs.unfit import unfit
from pipeline.manifest.model import Manifest


def told(photo: tuple[int, int], painting: tuple[int, int] = (800, 600), **fields: Any) -> str:
    sweep = fields.pop("sweep", None)
    data = {"content": "photo.jpg", "style": "wave.jpg", "name": "a", "parameters": fields, "sweep": sweep}
    manifest = Manifest.model_validate({key: value for key, value in data.items() if value is not None})
    return unfit(manifest, {"photo.jpg": photo, "wave.jpg": painting})


@pytest.mark.parametrize(
    ("photo", "fields"),
    [
        ((10_000, 300), {}),
        ((300, 10_000), {}),
        ((9_000, 111), {"image_size": 768}),
        ((2_000, 17), {}),
        ((4_001, 127), {"image_size": 400}),
        ((10_000, 40), {"content_layers": ["block3_conv1"], "style_layers": ["block1_conv1"]}),
    ],
)
def test_a_thin_panorama_is_told_the_least_size_that_would_do(photo: tuple[int, int], fields: dict[str, Any]) -> None:
    sentence = told(photo, **fields)
    found = re.fullmatch(
        r"photo\.jpg: \d+×\d+ pixels, too narrow: at image_size \d+ it is .* image_size (\d+) would do\.", sentence
    )
    assert found, sentence
    size = int(found[1])
    assert told(photo, **{**fields, "image_size": size}) == ""
    assert told(photo, **{**fields, "image_size": size - 1}) != ""


@pytest.mark.parametrize(
    ("painting", "fields"),
    [
        ((9_000, 200), {}),
        ((9_000, 200), {"pyramid": "off"}),
        ((200, 9_000), {"style_scale": 0.5}),
        ((3_000, 100), {"pyramid": [64, 512]}),
    ],
)
def test_so_is_a_thin_painting_at_the_coarsest_scale(painting: tuple[int, int], fields: dict[str, Any]) -> None:
    sentence = told((800, 600), painting, **fields)
    found = re.search(r"^wave\.jpg: .* too narrow at style_size 512.* style_size (\d+) would do\.$", sentence)
    assert found, sentence
    assert told((800, 600), painting, **{**fields, "style_size": int(found[1])}) == ""


def test_a_thin_panorama_is_told_the_least_first_scale_of_a_pyramid_that_would_do() -> None:
    sentence = told((1500, 300), pyramid=[64, 512])
    assert sentence.startswith(
        "photo.jpg: 1500×300 pixels, too narrow: at the first scale of `pyramid`, 64, it is 64×13"
    )
    size = int(sentence.split(" would do")[0].split()[-1])
    assert told((1500, 300), pyramid=[size, 512]) == told((1500, 300)) == ""
    assert told((1500, 300), pyramid=[size - 1, 512]) != ""


def test_a_thin_painting_beside_a_large_picture_is_told_that_it_is_its_own_size() -> None:
    sentence = told((4000, 3000), (150, 10), image_size=4000)
    assert sentence.startswith("wave.jpg: 150×10 pixels, too narrow, as it is not enlarged beside")
    assert told((4000, 3000), (1500, 100), image_size=4000) == ""
    assert told((800, 600), (300, 8), pyramid="off").endswith("style_size 582 would do.")


def test_one_that_no_size_would_do_for_is_told_to_be_cut() -> None:
    assert told((1_000_000, 50)).endswith("Use a part of it that is less narrow.")


def test_pictures_of_any_usual_shape_are_not_too_narrow() -> None:
    assert told((16_000, 500)) == told((600, 800), (3_000, 800)) == told((32, 32)) == ""


def test_a_sweep_of_which_some_can_be_painted_goes_on() -> None:
    assert told((10_000, 300), sweep={"image_size": [256, 1024]}) == ""
    assert "image_size 517 would do" in told((10_000, 300), sweep={"image_size": [256, 128]})
