from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.pictures import color
from tests.conftest import picture

PHOTO: Any = np.asarray(picture(seed=1), np.float32) / 255
PAINTING: Any = np.asarray(picture(seed=2), np.float32) / 255
GREY: Any = np.repeat((PAINTING @ color.LUMA)[..., None], 3, axis=-1)


class TestWithLuminance:
    def test_the_luminance_is_the_pictures(self) -> None:
        result = color.with_luminance(PHOTO, PAINTING)
        np.testing.assert_allclose(result @ color.LUMA, PAINTING @ color.LUMA, atol=1e-5)

    def test_the_hue_is_the_photos_and_no_colour_grows(self) -> None:
        result = color.with_luminance(PHOTO, PAINTING)
        before, after = (image - (image @ color.LUMA)[..., None] for image in (PHOTO, result))
        strength = np.linalg.norm(before, axis=-1)
        along = np.sum(before * after, -1) / np.maximum(strength, 1e-6)
        np.testing.assert_allclose(along, np.linalg.norm(after, axis=-1), atol=1e-4)
        assert (np.linalg.norm(after, axis=-1) <= strength + 1e-5).all()

    def test_a_grey_photo_gives_a_grey_picture(self) -> None:
        assert np.ptp(color.with_luminance(GREY, PAINTING), axis=-1).max() < 1e-5


class TestMatched:
    def test_it_has_the_photos_mean_and_covariance(self) -> None:
        soft = 0.35 + 0.3 * PHOTO  # in the middle, where nothing is clipped
        result = color.matched(PAINTING, soft).reshape(-1, 3)
        np.testing.assert_allclose(result.mean(0), soft.reshape(-1, 3).mean(0), atol=0.01)
        np.testing.assert_allclose(np.cov(result.T), np.cov(soft.reshape(-1, 3).T), atol=0.003)

    def test_a_picture_of_the_same_colours_is_left_as_it_is(self) -> None:
        np.testing.assert_allclose(color.matched(PHOTO, PHOTO), PHOTO, atol=1e-4)

    def test_greys_are_no_trouble(self) -> None:
        assert np.isfinite(color.matched(GREY, PHOTO)).all()
