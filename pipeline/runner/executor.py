"""What runs jobs, as the runner sees it: something with a capacity that a job is submitted to."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from pipeline.jobs.record import Job
from pipeline.jobs.result import Outcome


class Run(Protocol):
    """A job under way."""

    @property
    def future(self) -> Future[Outcome]:
        """How it ends."""

    def stop(self) -> None:
        """Have it leave a checkpoint and end. Does not wait."""

    def kill(self) -> None:
        """End what runs it, whatever that is at. Does not wait."""


class Executor(Protocol):
    """Runs jobs, as many at once as it has room for."""

    @property
    def capacity(self) -> int:
        """How many jobs can run at once, now."""

    def warm(self) -> None:
        """Get ready, ahead of the first job. Does not wait."""

    def submit(self, job: Job, folder: Path, variant: int | None, upcoming: Path | None) -> Run:
        """Run the attempt at a job that its record names.

        Args:
            job: its record.
            folder: the job's, under ``running/``.
            variant: of a sweep the number of the one to paint, or that of its sheet; None of any other job.
            upcoming: the folder of the job that comes next as things stand; its images can be decoded meanwhile.
        """

    def close(self) -> None:
        """End everything at once."""
