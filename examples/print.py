"""Make the picture of docs/prints.md: a part of the harbour and the swirl as an A4 print, at its full size, and the
same part of a picture of 512 pixels that is enlarged to that.

python examples/print.py
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
TARGET = HERE.parent / "docs" / "prints.jpg"
PRINT = {"print": {"width_cm": 29.7, "dpi": 300}}
PART = (0.42, 0.40)  # of width and height, where the part begins
WIDTH, HEIGHT, GAP = 720, 720, 12  # pixels


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder, "inbox")
        inbox.mkdir()
        for name in ("harbour.jpg", "swirl.jpg"):
            shutil.copy(HERE / "harbour-swirl" / name, inbox)
        for name, parameters in (("small", {"image_size": 512}), ("print", PRINT)):
            job = {"content": "harbour.jpg", "style": "swirl.jpg", "parameters": parameters}
            (inbox / f"{name}.json").write_text(json.dumps(job))
        subprocess.run([Path(sys.executable).with_name("stylistic"), "run"], cwd=folder, check=True)
        small, large = (
            Image.open(next(Path(folder, "outbox").glob(f"{name}-*/{name}.png"))) for name in ("small", "print")
        )
        x, y = (round(part * length) for part, length in zip(PART, large.size, strict=True))
        box = (x, y, x + WIDTH, y + HEIGHT)
        sheet = Image.new("RGB", (2 * WIDTH + GAP, HEIGHT), "white")
        sheet.paste(small.resize(large.size, Image.Resampling.BICUBIC).crop(box), (0, 0))
        sheet.paste(large.crop(box), (WIDTH + GAP, 0))
        sheet.save(TARGET, quality=85)


if __name__ == "__main__":
    main()
