"""The variants of a sweep: each a job below ``variants/`` in an attempt's folder, with the images of the whole."""

from __future__ import annotations

from pathlib import Path

from pipeline import storage
from pipeline.jobs import result
from pipeline.jobs.record import VARIANTS, Job


def place(attempt: Path, number: int) -> Path:
    """The folder of a variant, counted from 1, in that of an attempt."""
    return attempt / VARIANTS / f"{number:03}"


def records(job: Job) -> list[Job]:
    """The records of a sweep's variants.

    Raises:
        KeyError, ValueError: the sweep's own is damaged.
    """
    assert job.manifest is not None, "a job that runs has a manifest"
    by_file = {image.file: image for image in job.images.values()}
    return [
        job.model_copy(
            update={
                "name": variant.name,
                "manifest": variant,
                "images": {part: by_file[file] for part, file in variant.images.items()},
            }
        )
        for variant in job.manifest.variants()
    ]


def lay_out(attempt: Path, job: Job) -> dict[Path, Job]:
    """The variants' folders, each with its record; those that are there already are left alone."""
    found = {}
    for number, record in enumerate(records(job), 1):
        own = place(attempt, number)
        if not own.exists():
            building = own.with_name(f".{own.name}")
            storage.remove_tree(building)
            building.mkdir(parents=True)
            record.save(building)
            storage.move(building, own)
        found[own] = record
    return found


def unpainted(attempt: Path | None, job: Job) -> list[int]:
    """The numbers of the variants that have no picture at an attempt; all where there was none."""
    numbers = range(1, len(records(job)) + 1)
    if attempt is None:
        return list(numbers)
    return [number for number in numbers if not isinstance(result.read(place(attempt, number)), result.Done)]


def are_through(attempt: Path) -> bool:
    """Whether every variant that has been laid out has ended, one way or the other."""
    return all(result.read(own) for own in (attempt / VARIANTS).iterdir())
