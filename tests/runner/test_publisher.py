"""Results on their way to the outbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.jobs import attempt, log, result
from pipeline.jobs.result import Failed
from pipeline.jobs.spool import Spool
from pipeline.runner import piecework
from pipeline.runner.publisher import Publisher
from tests.runner.conftest import DONE, admit


def test_a_turn_takes_a_moment_and_what_is_blocked_holds_nobody_up(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piecework, "BUDGET_SECONDS", 0.0)
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
