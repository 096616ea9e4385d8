"""Results on their way to the outbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import storage
from pipeline.jobs import attempt, log, result
from pipeline.jobs.result import Failed
from pipeline.jobs.spool import Spool
from pipeline.outbox.publish import publish
from pipeline.runner import piecework
from pipeline.runner import publisher as publishing
from pipeline.runner.publisher import Publisher
from tests.inbox.conftest import Clock
from tests.runner.conftest import DONE, admit


def test_a_turn_takes_a_moment_and_what_is_blocked_holds_nobody_up(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piecework, "BUDGET_SECONDS", 0.0)
    monkeypatch.setattr(publishing, "PAUSE_SECONDS", 0.0)
    said: list[str] = []
    publisher = Publisher(spool, tmp_path / "outbox", said.append)
    jobs = [spool.start(admit(spool, name)) for name in "abc"]
    for job in jobs:
        publisher.add(job, Failed(reason=f"{job.name} cannot be painted"))
    in_the_way = tmp_path / "outbox" / jobs[0].id
    in_the_way.mkdir()
    (in_the_way / "somebody's").touch()
    counts = []
    for _ in range(4):
        publisher.turn()
        counts.append((publisher.backlog, len(said)))
    assert counts == [(2, 0), (1, 1), (0, 2), (0, 2)]
    assert publisher.blocked.keys() == {jobs[0].id}
    in_the_way.rename(tmp_path / "elsewhere")
    publisher.turn()
    assert [line.partition(": ")[2] for line in said] == [f"{name} cannot be painted" for name in "bca"]
    assert not publisher.blocked
    assert not publisher.waiting


def test_a_painted_sweep_whose_record_lost_its_images_fails_and_holds_nobody_up(spool: Spool, tmp_path: Path) -> None:
    publisher = Publisher(spool, tmp_path / "outbox", print)
    sweep = spool.start(admit(spool, "a", "sweep: {seed: [1, 2]}"))
    other = spool.start(admit(spool, "b"))
    own = attempt.place(spool.running / sweep.id, sweep.attempts)
    attempt.spread(own.parent, sweep)
    result.leave(own, DONE)
    publisher.add(sweep.model_copy(update={"images": {}}), None)
    publisher.add(other, Failed(reason="it cannot be painted"))
    publisher.turn()
    told = log.read(tmp_path / "outbox", sweep.id)
    assert told is not None
    assert told.error == "its record job.json does not have the images of its sweep. Drop it again."
    assert (publisher.tally.failed, publisher.backlog) == (2, 0)


def test_what_is_blocked_is_not_built_until_it_can_be_published_and_tried_every_few_seconds(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    publisher = Publisher(spool, tmp_path / "outbox", print)
    job = spool.start(admit(spool, "a"))
    publisher.add(job, Failed(reason="it cannot be painted"))
    in_the_way = tmp_path / "outbox" / job.id
    in_the_way.mkdir()
    (in_the_way / "somebody's").touch()
    tried = []
    reads = log.read

    def counted(outbox: Path, job_id: str) -> log.Log | None:
        tried.append(clock.now)
        return reads(outbox, job_id)

    monkeypatch.setattr(log, "read", counted)
    for _ in range(12):
        publisher.turn()
        clock.pass_(1.0)
    assert sorted(set(tried)) == [1000.0, 1005.0, 1010.0]
    assert sorted(path.name for path in (tmp_path / "outbox").iterdir()) == [job.id], "no draft of it"
    (in_the_way / "somebody's").unlink()
    clock.pass_(5.0)
    publisher.turn()
    assert not publisher.waiting, "an empty folder is in nobody's way"


def test_a_failure_that_a_retry_has_left_in_the_outbox_is_not_the_answer_to_the_next_attempt(
    spool: Spool, tmp_path: Path
) -> None:
    outbox = tmp_path / "outbox"
    publisher = Publisher(spool, outbox, print)
    job_id = admit(spool, "a")
    publisher.add(spool.start(job_id), Failed(reason="last week's"))
    publisher.turn()
    spool.retry(job_id)  # with another outbox, where there was nothing to take back
    again = spool.start(job_id)
    assert publisher.published(again) is None
    own = attempt.place(spool.running / job_id, again.attempts)
    own.mkdir()
    result.leave(own, DONE, {"a-001.png": b"a picture"})
    publisher.add(again, None)
    publisher.turn()
    told = log.read(outbox, job_id)
    assert told is not None
    assert (told.status, told.job.attempts) == ("done", 2)
    assert (outbox / job_id / "a-001.png").read_bytes() == b"a picture"
    assert not (spool.failed / job_id).exists()


def test_a_failure_that_was_published_before_a_crash_is_final(spool: Spool, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    job = spool.start(admit(spool, "a"))
    storage.at_once(publish(outbox, job, None, Failed(reason="told already")))
    publisher = Publisher(spool, outbox, print)
    publisher.add(job, DONE)
    publisher.turn()
    assert publisher.tally.failed == 1
    assert (spool.failed / job.id).is_dir()


def test_an_outbox_that_is_a_file_is_the_places_fault_and_no_jobs(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = spool.start(admit(spool, "a"))
    publisher = Publisher(spool, Path("outbox"), print)
    publisher.add(job, Failed(reason="a reason"))
    (tmp_path / "outbox").rmdir()
    (tmp_path / "outbox").touch()
    with pytest.raises(NotADirectoryError):
        publisher.turn()
    assert publisher.blocked == {}
