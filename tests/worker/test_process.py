"""Whose fault it is that an attempt comes to nothing: the job's, or the place's."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from PIL import UnidentifiedImageError

from pipeline.errors import EnvironmentFault, ImageError
from pipeline.jobs import result
from pipeline.jobs.record import Job, name_in, now
from pipeline.jobs.result import Failed
from pipeline.worker import process


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImageError("a.jpg: damaged."), "a.jpg: damaged."),
        (OSError("broken data stream when writing image file"), "internal error: OSError('broken data stream"),
        (UnidentifiedImageError("cannot identify it"), "internal error: UnidentifiedImageError('cannot"),
        (ValueError("long " * 5000), "internal error: ValueError('long"),
        (OSError(errno.ENOSPC, "No space left on device", "/a"), ""),
        (EnvironmentFault("the disk is gone."), ""),
    ],
)
def test_only_what_the_system_answers_is_the_places_fault(tmp_path: Path, error: Exception, said: str) -> None:
    """Pillow's own errors are an OSError too: as a fault of the place they would stop all jobs behind this one."""
    job_id = "a-20260101-000000-0001"
    job = Job(id=job_id, name=name_in(job_id), claimed_at=now())

    def work() -> bool:
        raise error

    outcome = process._guarded(tmp_path, job, work)
    if not said:
        assert outcome.kind == "fault"
        return
    assert outcome.kind == "through"
    ended = result.read(tmp_path)
    assert isinstance(ended, Failed)
    assert ended.reason.startswith(said)
    assert len(ended.reason) < 250
