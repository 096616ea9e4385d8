"""Contact sheets: pictures side by side, with their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from pipeline.pictures.fonts import Lettering, drawable

MARGIN = 8
LINE = 18  # pixels of a line of text
FONT_SIZE = 14
CAPTION_WIDTH = 240  # pixels that a caption may have, where pictures are narrower
CAPTION_LINES = 3
ACROSS = 8  # tiles side by side that can still be looked at


@dataclass(frozen=True)
class Grid:
    """Where tiles stand. A row of too many is folded into lines; too many lines stand in stacks side by side."""

    columns: int  # tiles of a row
    across: int  # tiles of a line
    stacks: int
    rows_of_stack: int

    @classmethod
    def of(cls, tiles: int, columns: int) -> Grid:
        """The grid of so many tiles in rows of ``columns``."""
        across = -(-columns // -(-columns // ACROSS))
        rows = -(-tiles // columns)
        lines = rows * -(-columns // across)
        # As wide as high, as far as there is room.
        wanted = round(math.sqrt(lines / across)) if lines > ACROSS else 1
        stacks = max(1, min(ACROSS // across, wanted, rows))
        rows_of_stack = -(-rows // stacks)
        return cls(columns, across, -(-rows // rows_of_stack), rows_of_stack)

    @property
    def lines_of_row(self) -> int:
        """Into how many lines a row is folded."""
        return -(-self.columns // self.across)

    @property
    def lines(self) -> int:
        """Of the highest stack."""
        return self.rows_of_stack * self.lines_of_row

    def place(self, tile: int) -> tuple[int, int]:
        """The column and the line of a tile."""
        row, column = divmod(tile, self.columns)
        stack, row_of_stack = divmod(row, self.rows_of_stack)
        line, x = divmod(column, self.across)
        return stack * self.across + x, row_of_stack * self.lines_of_row + line


def contact_sheet(
    tiles: Sequence[tuple[str, Image.Image | None]],
    columns: int,
    side: int,
    heads: Sequence[str] = (),
    row_heads: Sequence[str] = (),
) -> Image.Image:
    """Tiles in rows, each above its caption.

    Rows of more than eight tiles are folded, with their heads above each line; many short rows stand side by side.

    Args:
        tiles: captions and pictures; None leaves the place empty.
        columns: tiles in a row.
        side: what a picture is scaled down to, pixels of its long side.
        heads: a label above each column.
        row_heads: a label above each row.
    """
    grid = Grid.of(len(tiles), columns)
    lettering = Lettering(FONT_SIZE)
    pictures = [_scaled(picture, side) for _, picture in tiles]
    widest = max((picture.width for picture in pictures if picture), default=0)
    height = max((picture.height for picture in pictures if picture), default=side)
    room = max(widest, CAPTION_WIDTH)
    captions = [lettering.broken(drawable(caption, "\n"), room, CAPTION_LINES) for caption, _ in tiles]
    labels = [lettering.shortened(drawable(head), room) for head in heads]
    words = [*labels, *(line for caption in captions for line in caption)]
    width = max(widest, *(math.ceil(lettering.width(line)) for line in words))
    row_labels = [lettering.shortened(drawable(head), grid.across * (width + MARGIN) - MARGIN) for head in row_heads]

    folded = grid.lines_of_row > 1
    above = LINE * (bool(row_labels) + (bool(labels) and folded))  # a picture, in each line
    line_height = above + height + max(map(len, captions)) * LINE + MARGIN
    top = MARGIN + (LINE if labels and not folded else 0)
    across = grid.stacks * grid.across
    sheet = Image.new("RGB", (across * (width + MARGIN) + MARGIN, top + grid.lines * line_height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (caption, picture) in enumerate(zip(captions, pictures, strict=True)):
        column, line = grid.place(index)
        x, y = MARGIN + column * (width + MARGIN), top + line * line_height
        row, number = divmod(index, columns)
        if row_labels and number == 0:
            lettering.draw(draw, x, y, row_labels[row], "black")
        if labels and (folded or line == 0):
            lettering.draw(draw, x, y + above - LINE if folded else MARGIN / 2, labels[number], "black")
        if picture:
            sheet.paste(picture, (x, y + above))
        for number_of_line, text in enumerate(caption):
            lettering.draw(draw, x, y + above + height + 2 + number_of_line * LINE, text, "#444444")
    return sheet


def _scaled(picture: Image.Image | None, side: int) -> Image.Image | None:
    if picture is None:
        return None
    scaled = picture.copy()
    scaled.thumbnail((side, side), Image.Resampling.LANCZOS)
    return scaled
