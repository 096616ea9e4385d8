"""Cancelling beside a runner, or without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.errors import EnvironmentFault, UsageError
from pipeline.jobs import cancel, log
from pipeline.jobs.record import Job
from pipeline.jobs.spool import Spool
from pipeline.outbox import cancelling
from pipeline.outbox.cancelling import answer_all, cancel_job
from tests.runner.conftest import admit, spool

__all__ = ["spool"]


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def answered(outbox: Path, job_id: str) -> str | None:
    published = log.read(outbox, job_id)
    return published.error if published else None


def test_a_queued_job_is_kept_as_cancelled_and_answered(spool: Spool, outbox: Path) -> None:
    job_id = admit(spool, "a")
    assert cancel_job(spool, outbox, job_id, "ann") == "cancelled"
    assert answered(outbox, job_id) == f"cancelled by ann; `stylistic retry {job_id}` brings it back."
    assert entries(spool.failed / job_id) == {"job.json"}
    assert spool.next() is None
    spool.retry(job_id)
    assert spool.next() == job_id
    assert not cancel.is_marked(spool.queued / job_id)


def test_what_is_to_be_typed_is_as_a_shell_takes_it(spool: Spool, outbox: Path) -> None:
    job_id = admit(spool, "day 2")
    cancel_job(spool, outbox, job_id, "ann")
    assert answered(outbox, job_id) == f"cancelled by ann; `stylistic retry '{job_id}'` brings it back."


def test_a_running_job_is_left_to_its_runner(spool: Spool, outbox: Path) -> None:
    job_id = admit(spool, "a")
    spool.start(job_id)
    with FileLock(spool.folder / ".lock"):
        assert cancel_job(spool, outbox, job_id, "ann") == "stops now"
    assert cancel.is_marked(spool.running / job_id)
    assert answered(outbox, job_id) is None


def test_a_running_job_without_a_runner_is_cancelled_here(spool: Spool, outbox: Path) -> None:
    job_id = admit(spool, "a")
    spool.start(job_id)
    assert cancel_job(spool, outbox, job_id, "ann") == "cancelled"
    assert answered(outbox, job_id)
    assert (spool.failed / job_id).is_dir()


def test_what_is_cut_off_after_the_rename_is_answered_once_at_the_next_start(
    spool: Spool, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = admit(spool, "a")
    with monkeypatch.context() as patched:
        patched.setattr(cancelling, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            cancel_job(spool, outbox, job_id, "ann")
    assert answered(outbox, job_id) is None
    with pytest.raises(UsageError, match="its owner is not told yet"):
        spool.retry(job_id)
    answer_all(spool, outbox)
    assert answered(outbox, job_id)
    for path in (outbox / job_id).iterdir():
        path.unlink()
    (outbox / job_id).rmdir()
    answer_all(spool, outbox)
    assert not (outbox / job_id).exists(), "what its owner has read and removed does not come back"


def test_a_damaged_job_is_cancelled_too(spool: Spool, outbox: Path) -> None:
    job_id = admit(spool, "a")
    (spool.queued / job_id / "job.json").write_text("{")
    assert cancel_job(spool, outbox, job_id, "ann") == "cancelled"
    assert answered(outbox, job_id)


def test_what_is_neither_queued_nor_running_is_refused(spool: Spool, outbox: Path) -> None:
    job_id = admit(spool, "a")
    for other in ("b-20260101-000000-0000", "..", f"../queued/{job_id}"):
        with pytest.raises(UsageError, match="no queued or running job of this id"):
            cancel_job(spool, outbox, other, "ann")
    with pytest.raises(EnvironmentFault, match="not there"):
        cancel_job(spool, outbox / "gone", job_id, "ann")
    assert Job.load(spool.queued / job_id).id == job_id
