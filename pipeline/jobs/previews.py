"""Small pictures of a job, as WebP: one of the picture while it is painted, and those that the page shows of a result.

They are made once, with the result, and kept beside it, so that nobody has to decode a picture for the page.
"""

from __future__ import annotations

from pathlib import Path

from pipeline import storage
from pipeline.jobs import variants
from pipeline.jobs.fields import SpoiltError, Text, read_json
from pipeline.manifest.fields import Model

FOLDER = "previews"
# Long sides in pixels of what is in it: the result on a card, the photo beside the result at full width, a painting,
# the result itself where a browser does not show its format or would have to decode a print, and what was filmed.
FILM = "film.mp4"  # of a clip, what was filmed, small and silent
SIDES = {"picture": 480, "photo": 1280, "painting": 480, "large": 2400, "film": 640}
LIVE = "preview.webp"  # in a running job's folder, beside the checkpoint
LIVE_SIDE = 400
PAINTER = "painter.json"
MOST_BYTES = 1 << 16  # of what tells the painter


class Painter(Model):
    """What a job is painted on."""

    device: Text
    precision: Text


def leave(folder: Path, pictures: dict[str, bytes]) -> None:
    """Write previews, by their names, into a job's folder."""
    place = folder / FOLDER
    storage.ensure_folder(place)
    for name, data in pictures.items():
        storage.write_atomic(place / f"{name}.webp", data)


def files(folder: Path) -> list[Path]:
    """The previews in a job's folder, or in a result; none where there are none."""
    try:
        found = [entry.path for entry in storage.entries(folder / FOLDER) if entry.is_file]
    except OSError as error:
        if storage.is_of_entry(error):
            return []
        raise
    return [path for path in found if (path.suffix == ".webp" or path.name == FILM) and path.name[0] != "."]


def painter(attempt: Path) -> Painter | None:
    """What the job of an attempt is painted on; None before it is known."""
    path = newest(attempt, PAINTER)
    try:
        return read_json(Painter, storage.read(path, MOST_BYTES)) if path else None
    except (OSError, SpoiltError):
        return None


def newest(folder: Path, name: str) -> Path | None:
    """The latest file of a name in the folder of an attempt, or of a variant in it."""
    found = []
    for path in (place / name for place in (folder, *variants.places(folder))):
        if status := storage.glance(path):
            found.append((status.st_mtime_ns, path))
    return max(found)[1] if found else None
