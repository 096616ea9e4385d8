"""The variants of a sweep, each a job below ``variants/`` in an attempt's folder, with the images of the whole."""

from __future__ import annotations

from pathlib import Path

from pipeline import storage
from pipeline.jobs import result
from pipeline.jobs.record import RECORD, VARIANTS, Job, RecordError

# In the place of a variant's number: what is made of all of them, and the look that tells which parts a clip has.
SHEET, SCOUT = 0, -1


def place(attempt: Path, number: int) -> Path:
    """The folder of a variant, counted from 1, in that of an attempt; of the sheet that folder itself."""
    if number == SCOUT:
        return attempt / "scenes"
    return attempt if number == SHEET else attempt / VARIANTS / f"{number:03}"


def places(attempt: Path) -> list[Path]:
    """The folders of all variants at an attempt; none where the job is no sweep."""
    try:
        found = storage.entries(attempt / VARIANTS)
    except OSError as error:
        if storage.is_of_entry(error):
            return []
        raise
    return [entry.path for entry in found if entry.is_folder and entry.name.isdecimal()]


def records(job: Job) -> list[Job]:
    """The records of a sweep's variants.

    Raises:
        RecordError: the sweep's own is damaged.
    """
    assert job.manifest is not None, "a job that runs has a manifest"
    by_file = {image.file: image for image in job.images.values()}
    try:
        return [
            job.model_copy(
                update={
                    "name": variant.name,
                    "manifest": variant.sized(by_file[variant.content].width, by_file[variant.content].height),
                    "images": {part: by_file[file] for part, file in variant.images.items()},
                }
            )
            for variant in job.manifest.variants()
        ]
    except (KeyError, ValueError):
        raise RecordError(f"its record {RECORD} does not have the images of its sweep.", "Drop it again.") from None


def unpainted(attempt: Path) -> list[int]:
    """The numbers of those that have no picture."""
    return [int(own.name) for own in places(attempt) if not isinstance(result.read(own), result.Done)]


def is_whole(own: Path) -> bool:
    """Whether one has its picture, and all of it."""
    ended = result.read(own)
    return isinstance(ended, result.Done) and result.is_whole(own, ended)
