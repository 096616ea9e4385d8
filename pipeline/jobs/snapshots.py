"""Pictures of a job on its way, ``snapshot-000050.png`` after step 50, in its folder; published with its result."""

from __future__ import annotations

from pathlib import Path

from pipeline import storage
from pipeline.errors import ImageError
from pipeline.pictures import images

_PREFIX = "snapshot-"


def save(folder: Path, step: int, png: bytes) -> None:
    """Keep the picture after a step."""
    storage.write_atomic(folder / f"{_PREFIX}{step:06}.png", png)


def read(folder: Path) -> dict[int, Path]:
    """The snapshots in a job's folder by their steps, in order."""
    try:
        paths = [entry.path for entry in storage.entries(folder) if entry.is_file]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = {path.stem.removeprefix(_PREFIX): path for path in paths if path.match(f"{_PREFIX}*.png")}
    return {int(step): found[step] for step in sorted(found, key=lambda step: step.zfill(9)) if step.isdecimal()}


def cut(folder: Path, after: int) -> None:
    """Remove those of later steps, which will be made again."""
    for step, path in read(folder).items():
        if step > after:
            storage.remove_file(path)


def are_whole(folder: Path, every: int, until: int) -> bool:
    """Whether there is one for each ``every`` steps up to a step, and all can be read."""
    if not every:
        return True
    found, needed = read(folder), range(every, until + 1, every)
    if not {*needed} <= found.keys():
        return False
    try:
        for step in needed:
            images.own(found[step])
    except ImageError:
        return False
    return True
