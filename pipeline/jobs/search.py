"""Finding a job by what it was made of."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pipeline import storage
from pipeline.errors import JobError, UsageError
from pipeline.jobs.record import Job, JobImage, is_job_id, name_in
from pipeline.jobs.spool import Spool

LOOKED_AT = 50  # of the jobs of one name, the last ones


def made_of(spool: Spool, name: str, digest: str) -> str | None:
    """The last job of a name whose photo has this SHA-256, whatever became of it; None if none is known."""
    places = (spool.done, spool.failed, spool.running, spool.queued)
    found = {entry.removesuffix(".json") for place in places for entry in _names(place)}
    ids = sorted((entry for entry in found if is_job_id(entry) and name_in(entry) == name), reverse=True)
    for job_id in ids[:LOOKED_AT]:
        with contextlib.suppress(OSError, JobError, UsageError):
            photo = _images(spool, job_id).get("content")
            if photo and photo.sha256 == digest:
                return job_id
    return None


def _images(spool: Spool, job_id: str) -> dict[str, JobImage]:
    for place in (spool.running, spool.queued):
        if storage.is_folder(place / job_id):
            return Job.load(place / job_id).images
    return spool.asked(job_id).images


def _names(folder: Path) -> list[str]:
    try:
        return storage.names(folder)
    except OSError:
        return []
