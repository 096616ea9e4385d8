"""Results on their way to the outbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.jobs.result import Failed
from pipeline.jobs.spool import Spool
from pipeline.runner import piecework
from pipeline.runner.publisher import Publisher
from tests.runner.conftest import admit


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
