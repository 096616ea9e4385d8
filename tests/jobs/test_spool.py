from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.jobs.record import Job, JobImage, RecordError, is_job_id, name_in
from pipeline.jobs.spool import STOP, Spool
from pipeline.manifest.parse import parse_manifest
from pipeline.outbox import publish


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "jobs")
    (tmp_path / "jobs").mkdir()
    (tmp_path / "outbox").mkdir()
    spool.prepare()
    return spool


def admit(spool: Spool, job_id: str, state: Path | None = None, **fields: Any) -> Job:
    files = {"content": "photo.png", "style-1": "painting.png"}
    images = {
        part: JobImage(file=file, stored=f"{part}.png", sha256="0" * 64, width=8, height=8)
        for part, file in files.items()
    }
    manifest = parse_manifest(b"content: photo.png\nstyle: painting.png", f"{name_in(job_id)}.yaml")
    known = {"claimed_at": "2026-01-01T00:00:00+00:00", "manifest": manifest, "images": images}
    job = Job(id=job_id, name=name_in(job_id), **{**known, **fields})
    spool.admit(spool.draft(job_id), job, state or spool.queued)
    return job


A, B, C = (f"{name}-20260101-000000-000{n}" for n, name in enumerate("abc"))


def test_the_next_job_has_the_highest_priority_then_the_earliest_claim(spool: Spool) -> None:
    admit(spool, A, claimed_at="2026-01-02T00:00Z")
    admit(spool, B, claimed_at="2026-01-01T00:00Z")
    admit(spool, C, claimed_at="2026-01-03T00:00Z", priority=1)
    order = []
    while job_id := spool.next():
        order.append(job_id)
        spool.start(job_id)
    assert order == [C, B, A]


def test_a_job_put_back_by_somebody_else_is_seen(spool: Spool) -> None:
    assert spool.next() is None
    admit(spool, A)
    assert spool.next() == A


def test_attempts_and_deaths_are_counted(spool: Spool) -> None:
    admit(spool, A)
    for _ in range(2):
        spool.put_back(spool.start(A), died=True)
    job = spool.start(A)
    assert (job.attempts, job.deaths) == (3, 2)


def test_what_others_keep_in_the_outbox_is_left_alone(tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    theirs = [".DS_Store", ".stfolder", ".Trash-1000", ".sync-a-b-c", f".{B}"]  # the last: another runner's
    for name in theirs:
        (outbox / name).mkdir()
    (outbox / f".{A}").mkdir()
    publish.clean(outbox, A.__eq__)
    assert sorted(path.name for path in outbox.iterdir()) == sorted(theirs)


def test_retry_puts_a_failed_job_back(spool: Spool) -> None:
    admit(spool, A, spool.failed, deaths=3)
    spool.retry(A)
    assert Job.load(spool.queued / A).deaths == 0
    with pytest.raises(UsageError, match="no failed job"):
        spool.retry(A)


def test_a_record_reads_back_as_it_was_written(spool: Spool) -> None:
    job = admit(spool, A, manifest=parse_manifest(b"content: photo.png\nstyle: painting.png", "a.yaml"))
    assert Job.load(spool.queued / A) == job
    assert json.loads((spool.queued / A / "job.json").read_text())["images"]["content"]["width"] == 8


@pytest.mark.parametrize(("text", "answer"), [(A, True), ("x y-20260101-000000-abcd", True), ("a-b-c-d", False)])
def test_ids_have_a_form(text: str, answer: bool) -> None:
    assert is_job_id(text) is answer


def test_a_share_that_has_just_gone_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Spool(tmp_path / "jobs").prepare()
    with pytest.raises(FileNotFoundError):
        publish.clean(tmp_path / "outbox", A.__eq__)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("record", [None, b"", b'{"id": "a"', b"\0" * 100, b"[]", b'{"id": "a", "colour": 1}'])
def test_a_damaged_record_is_a_sentence_about_its_job(spool: Spool, record: bytes | None) -> None:
    admit(spool, A)
    admit(spool, B)
    path = spool.queued / A / "job.json"
    path.unlink() if record is None else path.write_bytes(record)
    assert spool.next() == A
    with pytest.raises(RecordError, match="its record"):
        spool.start(A)
    assert (spool.running / A).is_dir()
    assert spool.next() == B
    spool.fail(A)
    with pytest.raises(UsageError, match="its record|no failed job"):
        spool.retry(A)


def test_what_is_no_job_is_set_aside_and_the_jobs_run(spool: Spool, tmp_path: Path) -> None:
    admit(spool, A)
    (spool.queued / "notes.txt").write_text("mine")
    (spool.queued / "photos").mkdir()
    (spool.queued / B).write_text("a file with a job's name")
    (spool.running / C).symlink_to(tmp_path)
    assert spool.next() == A
    assert spool.interrupted() == []
    assert sorted(path.name for path in spool.aside.iterdir()) == sorted(["notes.txt", "photos", B, C])
    assert (spool.aside / "notes.txt").read_text() == "mine"


def test_a_word_to_stop_does_not_outlive_its_run(spool: Spool) -> None:
    admit(spool, A)
    job = spool.start(A)
    (spool.running / A / STOP).touch()
    spool.put_back(job)
    assert not (spool.queued / A / STOP).exists()
