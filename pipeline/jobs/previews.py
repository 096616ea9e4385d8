"""Small pictures of a job, as WebP: one of the picture while it is painted, and those that the page shows of a result.

They are made once, with the result, and kept beside it, so that nobody has to decode a picture for the page.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from pipeline import storage
from pipeline.jobs.record import VARIANTS
from pipeline.manifest.parameters import Model

FOLDER = "previews"
# Long sides in pixels of what is in it: the result on a card, the photo beside the result at full width, a painting,
# and the result itself where a browser does not show its format.
SIDES = {"picture": 480, "photo": 1280, "painting": 480, "large": 1280}
LIVE = "preview.webp"  # in a running job's folder, beside the checkpoint
LIVE_SIDE = 400
PAINTER = "painter.json"


class Painter(Model):
    """Who paints a job."""

    host: str
    pid: int
    device: str
    precision: str


def leave(folder: Path, pictures: dict[str, bytes]) -> None:
    """Write previews, by their names, into a job's folder."""
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    for name, data in pictures.items():
        storage.write_atomic(place / f"{name}.webp", data)


def files(folder: Path) -> list[Path]:
    """The previews in a job's folder, or in a result; none where there are none."""
    try:
        return sorted(path for path in (folder / FOLDER).iterdir() if path.suffix == ".webp" and path.name[0] != ".")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def painter(folder: Path, since: str | None) -> Painter | None:
    """Who paints the job in a folder; None before it is known.

    Args:
        folder: of a running job.
        since: when its attempt started, in ISO 8601; who painted in an earlier one does not count.
    """
    path = newest(folder, PAINTER)
    begun = datetime.fromisoformat(since).timestamp() if since else 0.0
    try:
        if path and path.stat().st_mtime >= begun - 1:
            return Painter.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        pass
    return None


def newest(folder: Path, name: str) -> Path | None:
    """The latest file of a name in the folder of a running job, or of a variant of it."""
    found = []
    for path in (folder / name, *folder.glob(f"{VARIANTS}/[0-9]*/{name}")):
        try:
            found.append((os.stat(path).st_mtime_ns, path))
        except OSError:
            continue
    return max(found)[1] if found else None
