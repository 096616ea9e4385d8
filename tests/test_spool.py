from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.job import Input, Job, is_job_id, name_in
from pipeline.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "jobs", tmp_path / "outbox")
    (tmp_path / "jobs").mkdir()
    (tmp_path / "outbox").mkdir()
    spool.prepare()
    return spool


def admit(spool: Spool, job_id: str, state: Path | None = None, **fields: Any) -> Job:
    images = {"content": Input("photo.png", "content.png", "0" * 64, 8, 8)}
    job = Job(job_id, name_in(job_id), **{"claimed_at": "2026-01-01", "images": images, **fields})
    spool.admit(spool.draft(job_id), job, state or spool.queued)
    return job


A, B, C = (f"{name}-20260101-000000-000{n}" for n, name in enumerate("abc"))


def test_the_next_job_has_the_highest_priority_then_the_earliest_claim(spool: Spool) -> None:
    admit(spool, A, claimed_at="2026-01-02")
    admit(spool, B, claimed_at="2026-01-01")
    admit(spool, C, claimed_at="2026-01-03", priority=1)
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
        spool.start(A)
        spool.put_back(A, died=True)
    job = Job.load(spool.start(A))
    assert (job.attempts, job.deaths) == (3, 2)


def test_what_others_keep_in_the_outbox_is_left_alone(spool: Spool, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    theirs = [".DS_Store", ".stfolder", ".Trash-1000", ".sync-a-b-c"]
    for name in theirs:
        (outbox / name).mkdir()
    (outbox / f".{A}").mkdir()
    spool.prepare()
    assert sorted(path.name for path in outbox.iterdir()) == sorted(theirs)


def test_retry_takes_the_failed_answer_back(spool: Spool, tmp_path: Path) -> None:
    admit(spool, A, spool.failed, deaths=3)
    answer = tmp_path / "outbox" / A
    answer.mkdir()
    spool.retry(A)
    assert not answer.exists()
    assert Job.load(spool.queued / A).deaths == 0
    with pytest.raises(UsageError, match="no failed job"):
        spool.retry(A)


def test_a_record_reads_back_as_it_was_written(spool: Spool) -> None:
    job = admit(spool, A, manifest={"content": "photo.png"})
    assert Job.load(spool.queued / A) == job
    assert json.loads((spool.queued / A / "job.json").read_text())["images"]["content"]["width"] == 8


@pytest.mark.parametrize(("text", "answer"), [(A, True), ("x y-20260101-000000-abcd", True), ("a-b-c-d", False)])
def test_ids_have_a_form(text: str, answer: bool) -> None:
    assert is_job_id(text) is answer


@pytest.mark.parametrize("gone", ["jobs", "outbox"])
def test_a_share_that_has_just_gone_is_not_made_anew(tmp_path: Path, gone: str) -> None:
    for name in {"jobs", "outbox"} - {gone}:
        (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError):
        Spool(tmp_path / "jobs", tmp_path / "outbox").prepare()
    assert not (tmp_path / gone).exists()
