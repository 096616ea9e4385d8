"""Letters of any script: DejaVu Sans, which comes with Matplotlib, then whatever font of this machine has them.

Matplotlib is imported where it is needed: it takes a moment.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import ImageDraw, ImageFont

LAST_RESORT = "Last Resort"  # a font that has a box for every letter


@functools.cache
def base() -> str:
    """The file of DejaVu Sans: Latin, Greek, Cyrillic, Arabic, Hebrew, Georgian, Armenian, symbols."""
    import matplotlib

    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))


@functools.cache
def file_for(letter: str) -> str | None:
    """The file of a font that has a letter; None where this machine has none."""
    from matplotlib.font_manager import get_font

    for file in _files():
        try:
            if get_font(file).get_char_index(ord(letter)) and _at(file, 12):
                return file
        except (OSError, RuntimeError):  # no font, or one of coloured bitmaps, which have sizes of their own
            continue
    return None


def drawable(text: str, kept: str = "") -> str:
    """The text with what cannot be drawn written as its code, so that names stay apart; all of ``kept`` stays."""
    return "".join(c if c in kept or (c.isprintable() and file_for(c)) else _code(c) for c in text)


def families(text: str) -> list[str]:
    """The names of fonts that have the letters of a drawable text, for Matplotlib."""
    from matplotlib.font_manager import get_font

    return list(dict.fromkeys(get_font(file_for(letter) or base()).family_name for letter in f" {text}"))


class Lettering:
    """Draws text of a size, each letter in a font that has it.

    Args:
        size: of the letters, pixels.
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def width(self, line: str) -> float:
        """How wide a line becomes, pixels."""
        return sum(font.getlength(part) for font, part in self._runs(line))

    def draw(self, onto: ImageDraw.ImageDraw, x: float, y: float, line: str, fill: str) -> None:
        """Draw a line whose letters begin below ``y``."""
        baseline = y + _at(base(), self._size).getmetrics()[0]
        for font, part in self._runs(line):
            onto.text((x, baseline), part, fill=fill, font=font, anchor="ls")
            x += font.getlength(part)

    def shortened(self, line: str, width: float) -> str:
        """The line, its middle left out where it is wider than that: names often differ in their ends."""
        low, high = 0, len(line)  # letters that fit, and perhaps fit
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.width(_without_middle(line, middle)) <= width
            low, high = (middle, high) if fits else (low, middle - 1)
        return _without_middle(line, low)

    def broken(self, text: str, width: float, lines: int) -> list[str]:
        """The text in so many lines at most, none wider than that, broken between any two letters."""
        found: list[str] = []
        for paragraph in text.split("\n"):
            found.append("")
            for letter in paragraph:
                if found[-1] and self.width(found[-1] + letter) > width:
                    found.append("")
                found[-1] += letter
        rest = found[lines - 1 :]
        return [*found[: lines - 1], self.shortened("".join(rest), width)] if len(rest) > 1 else found

    def _runs(self, line: str) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        """Parts that one font has all letters of, as long as can be, so that their letters join as they should."""
        file, start = base(), 0
        for index, letter in enumerate(line):
            if not _has(file, letter):
                if index > start:
                    yield _at(file, self._size), line[start:index]
                file, start = file_for(letter) or base(), index
        if line[start:]:
            yield _at(file, self._size), line[start:]


def _without_middle(line: str, letters: int) -> str:
    """So many letters of a line, from both ends."""
    end = letters // 2
    return line if letters == len(line) else f"{line[: letters - end]}…{line[len(line) - end :]}"


@functools.cache
def _at(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


@functools.lru_cache(100_000)
def _has(file: str, letter: str) -> bool:
    from matplotlib.font_manager import get_font

    return bool(get_font(file).get_char_index(ord(letter)))


def _files() -> Iterator[str]:
    yield base()
    from matplotlib.font_manager import fontManager

    def plainness(entry: Any) -> tuple[bool, bool, str]:
        return entry.style != "normal", entry.weight != 400, entry.fname

    others = sorted((entry for entry in fontManager.ttflist if LAST_RESORT not in entry.name), key=plainness)
    yield from (entry.fname for entry in others)


def _code(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode() if ord(letter) > 127 else repr(letter)[1:-1]
