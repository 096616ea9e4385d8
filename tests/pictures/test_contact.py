from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.pictures.contact import ACROSS, LINE, MARGIN, Grid, contact_sheet


def test_tiles_stand_in_rows_under_their_heads() -> None:
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250), None]
    tiles = [(f"t{n}", Image.new("RGB", (200, 100), color) if color else None) for n, color in enumerate(colors)]
    sheet = np.asarray(contact_sheet(tiles, 2, 100, ("left", "right"), ("upper", "lower")))
    assert sheet.shape[1] == 2 * (100 + MARGIN) + MARGIN
    for index, color in enumerate(colors):
        x = MARGIN + index % 2 * (100 + MARGIN) + 50
        y = MARGIN + LINE + index // 2 * (LINE + 50 + LINE + MARGIN) + LINE + 25
        assert tuple(sheet[y, x]) == (color or (255, 255, 255))


def test_a_long_caption_is_not_covered_by_its_neighbour() -> None:
    tiles = [("a rather long caption for a picture", Image.new("RGB", (20, 20)))] * 2
    sheet = np.asarray(contact_sheet(tiles, 2, 20).convert("L"))
    assert sheet.shape[1] > 2 * 200
    middle = sheet.shape[1] // 2
    assert (sheet[:, middle - 2 : middle + 2] == 255).all()


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8, 9, 16, 30, 64])
@pytest.mark.parametrize("rows", [1, 2, 5, 8, 9, 32, 64])
def test_every_tile_has_a_place_of_its_own_and_the_sheet_can_be_looked_at(columns: int, rows: int) -> None:
    tiles = columns * rows
    if tiles > 64:  # what a sweep may have by default
        return
    grid = Grid.of(tiles, columns)
    places = [grid.place(tile) for tile in range(tiles)]
    assert len(set(places)) == tiles
    assert max(x for x, _ in places) < grid.stacks * grid.across <= ACROSS
    assert max(y for _, y in places) < grid.lines <= 16
    for row in range(rows):
        ys = [y for _, y in places[row * columns : (row + 1) * columns]]
        assert ys == sorted(ys) and max(ys) - min(ys) == grid.lines_of_row - 1


def test_a_row_of_thirty_photos_is_folded_with_its_heads_above_each() -> None:
    tiles = [(f"t{n}", Image.new("RGB", (200, 100), (0, 8 * n, 99))) for n in range(30)]
    sheet = np.asarray(contact_sheet(tiles, 30, 100, [f"photo {n}" for n in range(30)]))
    assert sheet.shape[1] == 8 * (100 + MARGIN) + MARGIN
    for index in range(30):
        x, y = MARGIN + index % 8 * (100 + MARGIN), MARGIN + index // 8 * (LINE + 50 + LINE + MARGIN)
        assert tuple(sheet[y + LINE + 25, x + 50]) == (0, 8 * index, 99)
        assert (sheet[y : y + LINE, x : x + 60] < 128).any(), f"no head above {index}"


def test_a_long_name_keeps_its_ends_within_its_column() -> None:
    name = "photos/" + "very " * 40 + "long 0001.jpg"
    sheet = contact_sheet([(name, Image.new("RGB", (300, 30), "red"))] * 2, 2, 300, [name, name])
    assert sheet.width == 2 * (300 + MARGIN) + MARGIN
    gap = np.asarray(sheet)[:, 300 + MARGIN : 300 + 2 * MARGIN - 1]
    assert (gap == 255).all()
