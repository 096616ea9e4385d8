"""The images of jobs that are done, kept by content for whoever wants a job again: ``jobs/inputs/<SHA-256>``."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path

from pipeline import storage
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
                storage.ensure_folder(self.folder)
                for image in job.images.values():
                    with contextlib.suppress(FileNotFoundError):  # an earlier life has come so far
                        storage.touch(folder / image.stored)
                        storage.move(folder / image.stored, self.folder / image.sha256)
            except OSError as error:  # the job is done all the same
                log.warning("%s: its images are not kept (%s)", job.id, error.strerror)
        for path in self.older_than(time.time() - self._days * DAY_SECONDS):
            with storage.passed_over():
                storage.remove_file(path)

    def find(self, sha256: str) -> Path | None:
        """The image of this content, if it is kept."""
        path = self.folder / sha256
        return path if storage.is_file(path) else None

    def older_than(self, moment: float) -> list[Path]:
        """The images that no job has needed since; ``moment`` in seconds since the epoch."""
        try:
            paths = [self.folder / name for name in storage.names(self.folder)]
        except FileNotFoundError:
            return []
        return [path for path in paths if (found := storage.glance(path)) and found.st_mtime < moment]
