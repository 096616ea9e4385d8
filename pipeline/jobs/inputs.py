"""The images of jobs that are done, kept by content for whoever wants a job again: ``jobs/inputs/<SHA-256>``."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path

from pipeline.jobs.record import Job

log = logging.getLogger(__name__)

FOLDER = "inputs"
DAY_SECONDS = 86_400.0


class KeptInputs:
    """The kept images of one jobs folder; the time of a file is when a job last needed it.

    Args:
        jobs: the jobs folder.
        days: how long one is kept; 0 keeps none.
    """

    def __init__(self, jobs: Path, days: float) -> None:
        self.folder = jobs / FOLDER
        self._days = days

    def keep(self, folder: Path, job: Job) -> None:
        """Take the images out of the folder of a job that is done, and forget those whose time is over."""
        if self._days:
            try:
                self.folder.mkdir(exist_ok=True)
                for image in job.images.values():
                    with contextlib.suppress(FileNotFoundError):  # an earlier life has come so far
                        os.utime(folder / image.stored)
                        os.replace(folder / image.stored, self.folder / image.sha256)
            except OSError as error:  # the job is done all the same
                log.warning("%s: its images are not kept (%s)", job.id, error.strerror)
        for path in self.older_than(time.time() - self._days * DAY_SECONDS):
            path.unlink(missing_ok=True)

    def find(self, sha256: str) -> Path | None:
        """The image of this content, if it is kept."""
        path = self.folder / sha256
        return path if path.is_file() else None

    def older_than(self, moment: float) -> list[Path]:
        """The images that no job has needed since; ``moment`` in seconds since the epoch."""
        try:
            with os.scandir(self.folder) as entries:
                files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
                return [Path(entry.path) for entry in files if entry.stat().st_mtime < moment]
        except FileNotFoundError:
            return []
