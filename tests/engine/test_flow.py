"""Textures that are moved by hand, and what is found of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.engine import flow, sequence
from pipeline.engine.sequence import Frame

HEIGHT, WIDTH = 96, 128


def texture(seed: int, height: int = HEIGHT + 40, width: int = WIDTH + 40) -> Any:
    """Soft noise of several sizes, float32 ``[height, width, 3]`` in [0, 1]."""
    rng = np.random.default_rng(seed)
    whole = np.zeros((height, width, 3), np.float32)
    for size in (5, 10, 20):
        grid = rng.integers(0, 256, (height // size + 2, width // size + 2, 3), np.uint8)
        whole += np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC), np.float32)
    return whole / (3 * 255)


def window(whole: Any, x: int = 20, y: int = 20) -> Any:
    return whole[y : y + HEIGHT, x : x + WIDTH]


GROUND, FIGURE = texture(1), texture(2)


def scene(x: int) -> Any:
    """A square of 40 pixels before a ground that is still."""
    picture = window(GROUND).copy()
    picture[30:70, x : x + 40] = window(FIGURE)[:40, :40]
    return picture


@pytest.mark.parametrize("move", [(0, 0), (3, 0), (-2, 5), (9, -7)])
def test_a_texture_that_moves_as_a_whole_is_followed(move: tuple[int, int]) -> None:
    x, y = move
    found = flow.estimate(window(GROUND), window(GROUND, 20 + x, 20 + y))
    inside = np.abs(found - np.array(move, np.float32))[12:-12, 12:-12]
    assert inside.mean() < 0.05


@pytest.mark.parametrize("move", [(0, 0), (4, -3)])
def test_what_is_moved_by_its_flow_is_the_later_frame(move: tuple[int, int]) -> None:
    earlier, later = window(GROUND), window(GROUND, 20 + move[0], 20 + move[1])
    exact = np.broadcast_to(np.array(move, np.float32), (HEIGHT, WIDTH, 2))
    np.testing.assert_allclose(flow.warped(earlier, exact)[8:-8, 8:-8], later[8:-8, 8:-8], atol=1e-5)


def test_a_picture_that_is_moved_again_and_again_keeps_its_contrast() -> None:
    """By half a pixel to and fro, ten times."""
    picture = window(GROUND)
    for step in (0.5, -0.5) * 5:
        picture = flow.warped(picture, np.full((HEIGHT, WIDTH, 2), step, np.float32))
    assert picture[16:-16, 16:-16].std() == pytest.approx(window(GROUND)[16:-16, 16:-16].std(), rel=0.02)


class TestReliability:
    def trusted(self, earlier: Any, later: Any) -> Any:
        return flow.reliability(flow.estimate(earlier, later), flow.estimate(later, earlier))

    def test_what_is_still_is_trusted_everywhere(self) -> None:
        assert self.trusted(window(GROUND), window(GROUND)).min() == 1.0

    def test_what_a_figure_uncovers_is_not(self) -> None:
        trusted = self.trusted(scene(30), scene(35))
        assert trusted[34:66, 31:35].mean() < 0.3  # what was behind it
        assert trusted[38:62, 43:67].mean() > 0.9  # the figure itself
        assert trusted[:, 90:].mean() > 0.97  # the ground far from it

    def test_what_comes_in_from_outside_is_not(self) -> None:
        trusted = self.trusted(window(GROUND), window(GROUND, 28))
        assert trusted[:, -7:].max() == 0.0
        assert trusted[12:-12, 12:-20].mean() > 0.97

    def test_the_edge_of_what_moves_is_not(self) -> None:
        moves = np.zeros((HEIGHT, WIDTH, 2), np.float32)
        moves[:, 64:, 0] = 6
        trusted = flow.reliability(moves, -moves)
        assert trusted[:, 63:65].max() == 0.0
        assert trusted[:, 8:56].min() == 1.0

    def test_of_another_scene_little_is_trusted(self) -> None:
        assert self.trusted(window(GROUND), window(FIGURE)).mean() < 0.3


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (12, 300), (16, 16), (16, 300)])
def test_pictures_too_small_for_any_flow_are_taken_for_still(size: tuple[int, int]) -> None:
    found = flow.estimate(texture(1, *size), texture(2, *size))
    assert found.shape == (*size, 2)
    if min(size) < flow.LEAST_SIDE:
        assert not found.any()


def test_a_frame_starts_from_paint_alone_and_is_held_only_where_it_is_known() -> None:
    """The paint is dark, the photos are not: none of them shows through where the figure has uncovered the ground."""
    frames = [Frame(scene(x), 0.1 * scene(x)) for x in (30, 40)]
    kept = sequence.kept(scene(50), {1: frames[1], 2: frames[0]})
    assert kept is not None
    uncovered = np.s_[34:66, 42:48]
    assert kept.where[uncovered].mean() < 0.5
    assert kept.where.mean() > 0.8
    assert kept.start.max() <= 0.1 + 1e-6
    known = kept.where > 0
    np.testing.assert_array_equal(kept.start[known], kept.picture[known])
    assert np.abs(kept.start - 0.1 * scene(50))[known].mean() < 0.002


def test_another_scene_keeps_nothing() -> None:
    assert sequence.kept(window(FIGURE), {1: Frame(window(GROUND), window(GROUND))}) is None
