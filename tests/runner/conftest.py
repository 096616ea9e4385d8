"""A jobs folder with jobs in it, and an executor that does what a test says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from pipeline.jobs import attempt, result
from pipeline.jobs.record import Job, JobImage
from pipeline.jobs.result import Done, Engine, Failed, Outcome, Output, Timing, WeightsUsed
from pipeline.jobs.spool import Spool
from pipeline.manifest.parse import parse_manifest

DONE = Done(
    engine=Engine(tensorflow="", device="", precision="", weights=WeightsUsed(source="", sha256="0" * 64)),
    timing=Timing(setup_seconds=0, optimize_seconds=1, seconds_per_step=1),
    peak_memory_bytes=0,
    output=Output.of("a-001.png", 8, 8, b"a picture"),
)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    for name in ("inbox", "jobs", "outbox"):
        (tmp_path / name).mkdir()
    spool = Spool(tmp_path / "jobs")
    spool.prepare()
    return spool


def admit(spool: Spool, name: str, more: str = "") -> str:
    """Queue a job; gives its id.

    Args:
        spool: the jobs folder.
        name: of the job; jobs are claimed in the order of their names.
        more: lines of the manifest.
    """
    manifest = parse_manifest(f"content: photo.png\nstyle: painting.png\n{more}".encode(), f"{name}.yaml")
    images = {
        part: JobImage(file=file, stored=f"{part}.png", sha256="0" * 64, width=8, height=8)
        for part, file in manifest.images.items()
    }
    job_id = f"{name}-20260101-000000-0000"
    asked = {"manifest": manifest, "priority": manifest.priority, "images": images}
    job = Job(id=job_id, name=name, claimed_at=f"2026-01-01T00:00:{ord(name[0]) - ord('a'):02}Z", steps=300, **asked)
    spool.admit(spool.draft(job_id), job, spool.queued)
    return job_id


class FakeRun:
    """A run that goes on until it is told to stop, or ended by the test."""

    def __init__(self, attempt: Path) -> None:
        self.attempt = attempt
        self.future: Future[Outcome] = Future()
        self.killed = 0

    def stop(self) -> None:
        self.future.set_result(Outcome("stopped"))

    def kill(self) -> None:
        self.killed += 1

    def begin(self) -> None:
        self.attempt.mkdir(exist_ok=True)
        (self.attempt / attempt.WORKER).write_text(attempt.Worker().model_dump_json())

    def die(self) -> None:
        """As a worker that was at work."""
        self.begin()
        self.future.set_result(Outcome("died"))

    def fail(self, reason: str) -> None:
        self.attempt.mkdir(exist_ok=True)  # that of a variant is there
        result.leave(self.attempt, Failed(reason=reason))
        self.future.set_result(Outcome("through"))


class FakeExecutor:
    """Starts runs that do nothing by themselves."""

    def __init__(self, capacity: int = 1) -> None:
        self.capacity = capacity
        self.runs: list[FakeRun] = []
        self.on_submit: Callable[[FakeRun], None] = lambda run: None

    def warm(self) -> None:
        pass

    def submit(self, job: Job, folder: Path, variant: int | None, upcoming: Path | None) -> FakeRun:
        self.runs.append(FakeRun(attempt.place(folder, job.attempts, variant)))
        self.on_submit(self.runs[-1])
        return self.runs[-1]

    def close(self) -> None:
        pass
