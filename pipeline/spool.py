"""The jobs folder: ``queued/`` → ``running/`` → ``done/`` or ``failed/``. A state is a folder, a step is one rename."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.errors import UsageError
from pipeline.job import RESULT, Job, is_job_id, now

TRASH = ".stylistic-trash"  # in the outbox, which is shared with others


class Spool:
    """The jobs of one jobs folder. Only the runner that holds its lock changes them, but for ``retry``."""

    def __init__(self, folder: Path, outbox: Path) -> None:
        self.queued = folder / "queued"
        self.running = folder / "running"
        self.failed = folder / "failed"
        self.done = folder / "done"
        self.retries = folder / ".retry"
        self._outbox = outbox
        self._staging = folder / ".staging"
        self._trash = folder / ".trash"
        self._order: dict[str, tuple[int, str, str]] = {}

    def prepare(self) -> None:
        """Make the state folders, and remove what an earlier life left unfinished under dot-names.

        The jobs folder and the outbox have to be there: where a share has just gone, none is made in its place.
        """
        os.stat(self._outbox)
        for folder in (self.queued, self.running, self.failed, self.done):
            folder.mkdir(exist_ok=True)
        storage.remove_tree(self._staging)
        storage.remove_tree(self._trash)
        storage.remove_tree(self._outbox / TRASH)
        # Others keep dot-names in a shared folder too: only what is named like our results is ours.
        for leftover in self._outbox.glob(".*-*-*-*"):
            if is_job_id(leftover.name[1:]):
                storage.remove_tree(leftover)

    def is_taken(self, job_id: str) -> bool:
        """Whether a job of this id is in any state."""
        return self.is_alive(job_id) or (self.failed / job_id).exists() or (self._outbox / job_id).exists()

    def is_alive(self, job_id: str) -> bool:
        """Whether a job of this id has been staged and not failed."""
        states = (self.queued / job_id, self.running / job_id, self.done / f"{job_id}.json")
        return any(place.exists() for place in states)

    def draft(self, job_id: str) -> Path:
        """An empty folder to build a job in; nobody looks at it before ``admit``."""
        folder = self._staging / job_id
        storage.remove_tree(folder)
        self._staging.mkdir(exist_ok=True)
        folder.mkdir()
        return folder

    def admit(self, draft: Path, job: Job, state: Path) -> None:
        """Write the record into a draft and move it to ``queued`` or ``failed``."""
        job.save(draft)
        storage.move(draft, state / job.id)
        storage.remove_if_empty(self._staging)

    def next(self) -> str | None:
        """The id of the queued job to run next: highest priority first, then in the order of their claims."""
        present = set(_names(self.queued))
        self._order = {job_id: key for job_id, key in self._order.items() if job_id in present}
        for job_id in present - self._order.keys():
            with contextlib.suppress(FileNotFoundError):
                job = Job.load(self.queued / job_id)
                self._order[job_id] = (-job.priority, job.claimed_at, job_id)
        return min(self._order, key=self._order.__getitem__, default=None)

    def start(self, job_id: str) -> Path:
        """Move a job from the queue to ``running/``, counting the attempt; gives its folder."""
        folder = self.queued / job_id
        job = Job.load(folder)
        dataclasses.replace(job, attempts=job.attempts + 1, started_at=now()).save(folder)
        storage.move(folder, self.running / job_id)
        return self.running / job_id

    def put_back(self, job_id: str, died: bool = False) -> Job:
        """Move a running job back to the queue, counting a death of its worker; gives its record."""
        folder = self.running / job_id
        job = Job.load(folder)
        if died:
            job = dataclasses.replace(job, deaths=job.deaths + 1)
            job.save(folder)
        storage.move(folder, self.queued / job_id)
        return job

    def finish(self, job_id: str, log: dict[str, Any]) -> None:
        """Note that a published job is done, and remove its folder."""
        storage.write_json(
            self.done / f"{job_id}.json", {key: log[key] for key in ("status", "job", "timing", "output")}
        )
        storage.discard(self.running / job_id, self._trash)

    def fail(self, job_id: str) -> None:
        """Keep a job whose failure is published under ``failed/``, without what its worker was writing when it died."""
        for unfinished in (self.running / job_id).glob(".*"):
            unfinished.unlink()
        storage.move(self.running / job_id, self.failed / job_id)

    def interrupted(self) -> list[str]:
        """The jobs that an earlier life left in ``running/``."""
        return sorted(_names(self.running))

    def retry(self, job_id: str) -> None:
        """Put a failed job back to the queue, or its drop back to intake if it never became a job.

        Raises:
            UsageError: no failed job has this id.
        """
        folder = self.failed / job_id
        try:
            job = Job.load(folder)
        except FileNotFoundError:
            raise UsageError(f"{job_id}: no failed job of this id.", "`stylistic status` lists them.") from None
        if (self._outbox / job_id).exists():
            storage.discard(self._outbox / job_id, self._outbox / TRASH)
        if not job.images:
            self.retries.mkdir(exist_ok=True)
            storage.move(folder, self.retries / job_id)
            return
        dataclasses.replace(job, deaths=0).save(folder)
        storage.remove_tree(folder / RESULT)
        storage.move(folder, self.queued / job_id)


def _names(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield entry.name
