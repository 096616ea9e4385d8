"""Make the README's picture: the photo of the examples, and what `make demo` paints of it.

python examples/readme.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "harbour.jpg"
JOBS = ("harbour-swirl", "harbour-glass")
WIDTH, GAP = 420, 8  # of each of the three and between them, pixels


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for job in JOBS:
            shutil.copytree(HERE / job, Path(folder, "inbox", job))
        subprocess.run([Path(sys.executable).with_name("stylistic"), "run"], cwd=folder, check=True)
        painted = [next(Path(folder, "outbox").glob(f"{job}-*/{job}.png")) for job in JOBS]
        pictures = [_narrow(path) for path in (HERE / JOBS[0] / "harbour.jpg", *painted)]
    sheet = Image.new("RGB", (len(pictures) * (WIDTH + GAP) - GAP, pictures[0].height), "white")
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index * (WIDTH + GAP), 0))
    sheet.save(PICTURE, quality=90)


def _narrow(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB").resize((WIDTH, WIDTH * picture.height // picture.width), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
