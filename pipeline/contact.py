"""Contact sheets: pictures side by side, with their labels."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

MARGIN = 8
LINE = 18  # pixels of a line of text
FONT_SIZE = 14


def contact_sheet(
    tiles: Sequence[tuple[str, Image.Image | None]],
    columns: int,
    side: int,
    heads: Sequence[str] = (),
    row_heads: Sequence[str] = (),
) -> Image.Image:
    """Tiles in rows, each above its caption.

    Args:
        tiles: captions and pictures; None leaves the place empty.
        columns: tiles in a row.
        side: what a picture is scaled down to, pixels of its long side.
        heads: a label above each column.
        row_heads: a label above each row.
    """
    pictures = [picture.copy() if picture else None for _, picture in tiles]
    for picture in pictures:
        if picture:
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    height = max((picture.height for picture in pictures if picture), default=side)
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    words = [line for text in (*heads, *(caption for caption, _ in tiles)) for line in text.split("\n")]
    width = max(
        *(picture.width if picture else 0 for picture in pictures),
        *(int(measure.textlength(text, font_size=FONT_SIZE)) for text in words),
    )
    lines = max(caption.count("\n") + 1 for caption, _ in tiles)
    row_height = (LINE if row_heads else 0) + height + lines * LINE + MARGIN
    top = MARGIN + (LINE if heads else 0)
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (width + MARGIN) + MARGIN, top + rows * row_height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        draw.text((MARGIN + column * (width + MARGIN), MARGIN / 2), head, fill="black", font_size=FONT_SIZE)
    for row, head in enumerate(row_heads):
        draw.text((MARGIN, top + row * row_height), head, fill="black", font_size=FONT_SIZE)
    for index, ((caption, _), picture) in enumerate(zip(tiles, pictures, strict=True)):
        x = MARGIN + index % columns * (width + MARGIN)
        y = top + index // columns * row_height + (LINE if row_heads else 0)
        if picture:
            sheet.paste(picture, (x, y))
        draw.text((x, y + height + 2), caption, fill="#444444", font_size=FONT_SIZE)
    return sheet
