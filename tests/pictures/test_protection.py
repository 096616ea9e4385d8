from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from pipeline.pictures.protection import REACH, ellipses

FACE = (0.25, 0.5, 0.2, 0.3)  # of 200 × 100 pixels: 40 × 30 at (50, 50)


def test_a_face_is_held_from_brow_to_chin_and_what_is_away_from_it_is_not() -> None:
    found = ellipses([FACE], 100, 200)
    assert found.dtype == np.float32
    assert found[65, 70] == found[51, 70] == found[79, 70] == found[65, 51] == found[65, 89] == 1
    assert found[50, 50] < 1, "a box's corners are no face"
    assert (found[:35].max(), found[95:].max(), found[:, :30].max(), found[:, 105:].max()) == (0, 0, 0, 0)
    assert 0 < found[45, 70] < 1, "it falls softly"


def test_several_do_not_add_up_and_may_reach_over_the_edge() -> None:
    one, other = ellipses([FACE], 100, 200), ellipses([(0.9, 0.9, 0.2, 0.2)], 100, 200)
    np.testing.assert_array_equal(ellipses([FACE, FACE, (0.9, 0.9, 0.2, 0.2)], 100, 200), np.maximum(one, other))
    assert other[99, 199] == 1


def test_a_crowd_in_a_print_costs_what_its_faces_cover() -> None:
    tracemalloc.start()
    found = ellipses([(n / 200, 0.5, 0.01, 0.01) for n in range(100)], 1500, 2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * found.nbytes
    assert found.min() == 0
    assert (found == 1).mean() == pytest.approx(0.01 * 0.5 * REACH, rel=0.1)


def test_a_box_of_less_than_a_pixel_is_no_fault() -> None:
    assert ellipses([(0.5, 0.5, 1e-4, 1e-4)], 10, 10).max() <= 1
