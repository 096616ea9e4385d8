from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from PIL import Image, ImageDraw

from pipeline.pictures import fonts
from pipeline.pictures.fonts import Lettering, drawable, families

SQUARE = "\U00030000"  # a rare character that no font here has; below one has it, as a full square
RARER = "\U00030001"


@pytest.fixture
def rare_font(tmp_path: Path) -> Iterator[None]:
    """A font of the machine with one letter that no other has."""
    pen = TTGlyphPen(None)
    for corner in ((0, 0), (0, 700), (1000, 700), (1000, 0)):
        (pen.lineTo if corner != (0, 0) else pen.moveTo)(corner)
    pen.closePath()
    glyph, empty = pen.glyph(), TTGlyphPen(None).glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(SQUARE): "square"})
    builder.setupGlyf({".notdef": empty, "square": glyph})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Rare", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800)
    builder.setupPost()
    builder.save(tmp_path / "rare.ttf")
    entries = list(font_manager.fontManager.ttflist)
    fonts.file_for.cache_clear()
    font_manager.fontManager.addfont(tmp_path / "rare.ttf")
    yield
    font_manager.fontManager.ttflist = entries
    fonts.file_for.cache_clear()


def drawn(line: str) -> Any:
    image = Image.new("L", (400, 30), 255)
    Lettering(20).draw(ImageDraw.Draw(image), 0, 2, line, "black")
    return np.asarray(image)


@pytest.mark.parametrize("letters", ["äöüßéñ", "Ωλ", "Жя", "ابت", "אב", "ქა", "ảạ", "→★½"])
def test_letters_of_many_scripts_are_drawn_without_another_font(letters: str) -> None:
    assert drawable(letters) == letters
    for letter in letters:
        assert fonts.file_for(letter) == fonts.base()
        assert (drawn(letter) < 128).any()


@pytest.mark.usefixtures("rare_font")
def test_a_letter_that_only_another_font_of_the_machine_has_is_drawn_in_it() -> None:
    assert drawable(f"a{SQUARE}b") == f"a{SQUARE}b"
    lettering = Lettering(20)
    assert lettering.width(f"a{SQUARE}b") == pytest.approx(lettering.width("a") + 20 + lettering.width("b"), abs=1)
    start = round(lettering.width("a"))
    assert (drawn(f"a{SQUARE}b")[10:20, start + 2 : start + 18] == 0).all()
    assert families(f"a{SQUARE}") == ["DejaVu Sans", "Rare"]


def test_what_no_font_has_is_written_as_its_code() -> None:
    assert drawable(f"x{RARER}.jpg") == "x\\U00030001.jpg"
    assert drawable("a\nb\x1b\udcff\t") == "a\\nb\\x1b\\udcff\\t"
    assert drawable("a\nb", "\n") == "a\nb"
    assert families(drawable(RARER)) == ["DejaVu Sans"]


def test_lines_are_cut_to_their_width() -> None:
    lettering = Lettering(14)
    text = "photos/" + "abc " * 60 + "0001.jpg"
    short = lettering.shortened(text, 200)
    assert short.startswith("photos/") and short.endswith("0001.jpg") and "…" in short
    assert 180 < lettering.width(short) <= 200
    assert lettering.shortened("a.jpg", 200) == "a.jpg"
    lines = lettering.broken(text, 200, 3)
    assert len(lines) == 3 and lines[-1].endswith("0001.jpg")
    assert all(lettering.width(line) <= 200 for line in lines)
    assert lettering.broken("one\n\ntwo", 200, 3) == ["one", "", "two"]
    assert lettering.broken("wide", 1, 9) == ["w", "i", "d", "e"]
