from __future__ import annotations

import numpy as np
from PIL import Image

from pipeline.contact import LINE, MARGIN, contact_sheet


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
