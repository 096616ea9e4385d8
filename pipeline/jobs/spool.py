"""The jobs folder: ``queued/`` → ``running/`` → ``done/`` or ``failed/``. A state is a folder, a step is one rename."""

from __future__ import annotations

import contextlib
import logging
import shlex
from pathlib import Path

from pydantic import BaseModel

from pipeline import storage
from pipeline.errors import UsageError
from pipeline.jobs import attempt, cancel
from pipeline.jobs.fields import Moment, SpoiltError, read_json
from pipeline.jobs.inputs import KeptInputs
from pipeline.jobs.log import Log
from pipeline.jobs.record import MOST_BYTES, RECORD, Asked, Job, Priority, RecordError, is_job_id, now

log = logging.getLogger(__name__)

KEPT = "drop"  # in a failed job's folder: what was dropped, where it never became a job
DROPPED = "dropped"  # in a job's folder, with a suffix: its manifest as it was dropped
REJECTED = ".rejected"  # in the inbox: what was dropped and is too large to be kept elsewhere
_DROP_AGAIN = "Drop the manifest.yaml of its result again, beside its images."
STOP = "stop"  # in a running job's folder: its steps look at it, checkpoint and end


class UntouchableError(Exception):
    """A job that cannot be read, as its files are, and why; it may be another time."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Finished(BaseModel):
    """What is kept of a finished job; all else there is for people."""

    asked: Asked


class _Turn(BaseModel):
    """The part of a queued job's record that the queue's order needs."""

    priority: Priority
    claimed_at: Moment


class Spool:
    """The jobs of one jobs folder. Only the runner that holds its lock changes them, but for `retry` and `cancel`."""

    def __init__(self, folder: Path, keep_inputs_days: float = 0.0) -> None:
        self.folder = folder
        self.inputs = KeptInputs(folder, keep_inputs_days)
        self.queued = folder / "queued"
        self.running = folder / "running"
        self.failed = folder / "failed"
        self.done = folder / "done"
        self.aside = folder / ".aside"
        self.retries = folder / ".retry"
        self._staging = folder / ".staging"
        self._trash = folder / ".trash"
        self._order: dict[str, tuple[int, str, str]] = {}
        self._immovable: set[Path] = set()

    def prepare(self) -> None:
        """Make the state folders, and remove what an earlier life left unfinished under dot-names."""
        for folder in (self.queued, self.running, self.failed, self.done):
            storage.ensure_folder(folder)
        storage.clear_away(self._staging)
        storage.clear_away(self._trash)

    def holds(self, job_id: str) -> bool:
        """Whether a job of this id is in any state."""
        return self.is_alive(job_id) or storage.is_there(self.failed / job_id)

    def is_alive(self, job_id: str) -> bool:
        """Whether a job of this id has been staged and not failed."""
        states = (self.queued / job_id, self.running / job_id, self.done / f"{job_id}.json")
        return any(map(storage.is_there, states))

    def places(self, job_id: str) -> tuple[Path, ...]:
        """Where a job of this id is, in any state or before it has one."""
        states = (self._staging, self.queued, self.running, self.failed, self.retries)
        return *(state / job_id for state in states), self.done / f"{job_id}.json"

    def draft(self, job_id: str) -> Path:
        """An empty folder to build a job in; nobody looks at it before ``admit``."""
        folder = self._staging / job_id
        storage.ensure_folder(self._staging)
        storage.remove(folder)
        storage.make_folder(folder)
        return folder

    def admit(self, draft: Path, job: Job, state: Path) -> None:
        """Write the record into a draft and move it to ``queued`` or ``failed``."""
        job.save(draft)
        _move(draft, state / job.id)
        storage.remove_if_empty(self._staging)

    def next(self) -> str | None:
        """The id of the queued job to run next: highest priority first, then in the order of their claims."""
        present = set(_names(self.queued))
        self._order = {job_id: key for job_id, key in self._order.items() if job_id in present}
        for job_id in present - self._order.keys():
            if self._is_job(self.queued / job_id):
                self._order[job_id] = _order(self.queued / job_id)
        return min(self._order, key=self._order.__getitem__, default=None)

    def is_before(self, job_id: str, job: Job) -> bool:
        """Whether a queued job has its turn before another."""
        return self._order[job_id] < job.turn

    def queued_ids(self) -> list[str]:
        """The queued jobs, in no order."""
        return [name for name in _names(self.queued) if is_job_id(name)]

    def in_order(self) -> list[str]:
        """The ids of all queued jobs, the next first. Changes nothing: it is for whoever looks on, too."""
        try:
            present = [name for name in storage.names(self.queued) if is_job_id(name)]
        except FileNotFoundError:
            return []
        return sorted(present, key=lambda job_id: self._order.get(job_id) or _order(self.queued / job_id))

    def start(self, job_id: str) -> Job:
        """Move a job from the queue to ``running/``, counting the attempt before anybody can begin it.

        Raises:
            RecordError: the job cannot be run; it is in ``running/`` all the same.
            FileNotFoundError: it is not there any more.
            UntouchableError: it cannot be looked at.
        """
        folder = self.running / job_id
        try:
            job = self._read(self.queued / job_id)
            if job.manifest is None or not job.images:
                raise RecordError(f"its record {RECORD} says nothing to paint.", "Drop it again.")
        except RecordError:
            _move(self.queued / job_id, folder)
            raise
        job = job.model_copy(update={"attempts": job.attempts + 1, "started_at": now()})
        job.save(self.queued / job_id)
        _move(self.queued / job_id, folder)
        return job

    def load(self, job_id: str) -> Job:
        """The record of a running job.

        Raises:
            RecordError: it cannot be used, or there is none.
            UntouchableError: it cannot be looked at.
        """
        return self._read(self.running / job_id)

    def _read(self, folder: Path) -> Job:
        try:
            return Job.load(folder)
        except (FileNotFoundError, NotADirectoryError):
            raise RecordError(f"its record {RECORD} is gone.", "Drop it again.") from None
        except OSError as error:
            if storage.is_of_entry(error):
                raise UntouchableError(error) from None
            raise

    def put_back(self, job: Job, died: bool = False) -> None:
        """Move a running job back to the queue with what it has come to, counting a death of its worker."""
        folder = self.running / job.id
        if died:
            job.model_copy(update={"deaths": job.deaths + 1}).save(folder)
        storage.remove(folder / STOP)
        for doomed in attempt.outdated(folder):
            storage.discard(doomed, self._trash)
        _move(folder, self.queued / job.id)

    def leave_alone(self, folder: Path, error: OSError) -> None:
        """Do not look at a queued or running job again in this life, as it cannot be touched."""
        self._immovable.add(folder)
        self._order.pop(folder.name, None)
        log.error("%s cannot be run (%s); it stays where it is", folder, error.strerror)

    def withdraw(self, job_id: str) -> None:
        """Take a job out of the queue that somebody else has."""
        storage.discard(self.queued / job_id, self._trash)

    def forget(self, job_id: str) -> None:
        """Remove a failed job."""
        storage.discard(self.failed / job_id, self._trash)

    def finish(self, ended: Log) -> None:
        """Note that a published job is done, keep its images for a while, and remove its folder."""
        record = ended.model_dump(mode="json", include={"status", "job", "timing", "output"})
        with contextlib.suppress(RecordError, UntouchableError):  # it was damaged after it had been painted
            job = self.load(ended.job.id)
            record["asked"] = job.model_dump(mode="json", include=set(Asked.model_fields))
            self.inputs.keep(self.running / job.id, job)
        storage.ensure_folder(self.done)
        storage.write_json(self.done / f"{ended.job.id}.json", record)
        storage.discard(self.running / ended.job.id, self._trash)

    def fail(self, job_id: str) -> None:
        """Keep a job whose failure is published under ``failed/``, without what its worker was writing when it died."""
        folder = self.running / job_id
        for doomed in attempt.outdated(folder):
            storage.discard(doomed, self._trash)
        unfinished = [entry.path for entry in storage.walk(folder) if entry.name.startswith(".")]
        for path in (*unfinished, folder / STOP, folder / cancel.FILE):
            storage.remove(path)
        _move(folder, self.failed / job_id)

    def cancel(self, folder: Path) -> None:
        """Move a job that is marked as cancelled from ``queued`` or ``running`` to ``failed``; its owner is told then.

        Raises:
            FileNotFoundError: it has moved on.
        """
        _move(folder, self.failed / folder.name)

    def interrupted(self) -> list[str]:
        """The jobs that an earlier life left in ``running/``."""
        return sorted(name for name in _names(self.running) if self._is_job(self.running / name))

    def asked(self, job_id: str) -> Asked:
        """What a finished or failed job was asked for.

        Raises:
            UsageError: there is none of this id, or it cannot be done again.
        """
        try:
            if not is_job_id(job_id):
                raise FileNotFoundError
            return read_json(_Finished, storage.read(self.done / f"{job_id}.json", MOST_BYTES)).asked
        except (FileNotFoundError, storage.OddError):
            job = self.require_failed(job_id, "finished or failed")
            if job.manifest is None or not job.images:
                raise UsageError(f"{job_id}: never became a job.", "`stylistic retry` reads it again.") from None
            return Asked(manifest=job.manifest, images=job.images, place=job.place)
        except SpoiltError as error:
            raise UsageError(f"{job_id}: its record is not one of this version ({error}).", _DROP_AGAIN) from None

    def require_failed(self, job_id: str, wanted: str = "failed") -> Job:
        """The record of a failed job; ``wanted`` is what the sentence calls it where there is none.

        Raises:
            UsageError: no failed job has this id, or its record is damaged.
        """
        folder = self.failed / job_id
        try:
            if not is_job_id(job_id):  # nor part of a path
                raise FileNotFoundError
            return Job.load(folder)
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(f"{job_id}: no {wanted} job of this id.", "`stylistic status` lists them.") from None
        except RecordError as error:
            raise UsageError(f"{job_id}: {error.message}", f"Drop it again; its files are in {folder}.") from None

    def require_retriable(self, job_id: str) -> Job:
        """The record of a failed job that can be put back.

        Raises:
            UsageError: as ``require_failed``, or its cancelling is not through, or its drop is not there.
        """
        folder, job = self.failed / job_id, self.require_failed(job_id)
        if cancel.is_marked(folder):
            raise UsageError(
                f"{job_id}: its owner is not told yet.", f"`stylistic cancel {shlex.quote(job_id)}` does it."
            )
        if not job.images and not storage.is_there(folder / KEPT):
            raise UsageError(f"{job_id}: it was too large to keep.", f"Drop it again from {REJECTED} in the inbox.")
        return job

    def retry(self, job_id: str) -> None:
        """Put a failed job back to the queue, or its drop back to intake if it never became a job.

        Raises:
            UsageError: as ``require_retriable``.
        """
        folder, job = self.failed / job_id, self.require_retriable(job_id)
        if not job.images:
            storage.ensure_folder(self.retries)
            storage.move(folder, self.retries / job_id)
            return
        job.model_copy(update={"deaths": 0}).save(folder)
        _move(folder, self.queued / job_id)

    def _is_job(self, entry: Path) -> bool:
        """Whether an entry among the jobs is one; what is none is moved to ``.aside/``, once and for all."""
        if entry in self._immovable:
            return False
        try:
            if is_job_id(entry.name) and storage.is_folder(entry):
                return True
        except OSError as error:
            if not storage.is_of_entry(error):
                raise
            self.leave_alone(entry, error)
            return False
        number = 0
        while storage.is_there(target := self.aside / (f"{entry.name}-{number}" if number else entry.name)):
            number += 1
        try:
            storage.ensure_folder(self.aside)
            storage.move(entry, target)
            log.warning("%s is no job; moved to %s", entry, target)
        except OSError as error:
            self._immovable.add(entry)
            log.warning("%s is no job, and cannot be moved aside (%s)", entry, error.strerror)
        return False


def dropped_in(folder: Path) -> Path | None:
    """The manifest that a job was dropped with; None for one of a version that did not keep it."""
    found: list[storage.Entry] = []
    with storage.passed_over():
        found = storage.entries(folder)
    return next((entry.path for entry in found if entry.is_file and entry.name.startswith(f"{DROPPED}.")), None)


def _order(folder: Path) -> tuple[int, str, str]:
    """What a job is sorted by. One whose record tells nothing comes first: it fails, and that is soon told."""
    try:
        turn = read_json(_Turn, storage.read(folder / RECORD, MOST_BYTES))
        return -turn.priority, turn.claimed_at, folder.name
    except (OSError, SpoiltError):
        return -1_000_000, "", folder.name


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in storage.names(folder) if not name.startswith(".")]
    except FileNotFoundError:
        storage.make_folder(folder)  # somebody has tidied up; where the whole jobs folder is gone this says so
        return []


def _move(source: Path, target: Path) -> None:
    """``storage.move`` to a state whose folder somebody may have removed."""
    storage.ensure_folder(target.parent)
    storage.move(source, target)
