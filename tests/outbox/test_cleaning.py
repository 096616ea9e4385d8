"""What may go, and what never goes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pipeline import storage
from pipeline.jobs import cancel, result
from pipeline.jobs.record import Job
from pipeline.jobs.result import Failed
from pipeline.jobs.spool import Spool
from pipeline.outbox import cleaning
from pipeline.outbox.publish import publish
from tests.runner.conftest import admit, spool

__all__ = ["spool"]


def age(path: Path, days: float) -> Path:
    moment = time.time() - days * 86_400
    os.utime(path, (moment, moment))
    return path


def fail(spool: Spool, name: str, outbox: Path) -> str:
    job_id = admit(spool, name)
    job = spool.start(job_id)
    storage.at_once(publish(outbox, job, None, Failed(reason="too small")))
    spool.fail(job_id)
    return job_id


def test_what_ended_long_ago_goes_and_nothing_else(spool: Spool, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    old, young, unanswered = (fail(spool, name, outbox) for name in ("old", "young", "unanswered"))
    cancel.mark(spool.failed / unanswered, "ann")
    queued, running = admit(spool, "queued"), admit(spool, "running")
    spool.start(running)
    published: Job = Job.load(spool.running / running)
    storage.at_once(publish(outbox, published, None, Failed(reason="published, but not filed yet")))
    spool.inputs.folder.mkdir()
    for name in ("a" * 64, "b" * 64):
        (spool.inputs.folder / name).write_bytes(b"image")
        (spool.done / f"{name[0]}.json").write_text("{}")
    for path in (spool.failed / old, spool.inputs.folder / ("a" * 64), spool.done / "a.json"):
        age(path, 40)
    for path in (spool.queued / queued, spool.running / running, spool.failed / unanswered, outbox / running):
        age(path, 40)
    age(spool.failed / young, 20)
    before = time.time() - 30 * 86_400
    found = cleaning.find(spool, outbox, before)
    assert {one.path for one in found} == {spool.failed / old, spool.inputs.folder / ("a" * 64), spool.done / "a.json"}
    assert all(one.size > 0 for one in found)
    for one in found:
        cleaning.remove(one, spool)
        cleaning.remove(one, spool)
    assert cleaning.find(spool, outbox, before) == []
    assert {path.name for path in spool.failed.iterdir()} == {young, unanswered}
    assert {path.name for path in outbox.iterdir()} == {old, young, unanswered, running}
    assert result.read(spool.running / running) is None


def test_results_go_on_demand_once_they_are_filed(spool: Spool, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    filed = fail(spool, "filed", outbox)
    running = admit(spool, "running")
    storage.at_once(publish(outbox, spool.start(running), None, Failed(reason="published, but not filed yet")))
    (outbox / "theirs").mkdir()
    (outbox / "index.html").write_text("")
    tomorrow = time.time() + 86_400
    assert "results" not in {one.kind for one in cleaning.find(spool, None, tomorrow)}
    for one in cleaning.find(spool, outbox, tomorrow):
        cleaning.remove(one, spool)
    assert {path.name for path in outbox.iterdir()} == {running, "theirs", "index.html"}
    assert not (spool.failed / filed).exists()
