"""Taking in, however much happens in the inbox."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.inbox.alarm import Alarm
from pipeline.jobs.spool import Spool
from pipeline.runner.intake import Intake
from pipeline.runner.publisher import Publisher
from tests.inbox.conftest import Clock, make


@pytest.mark.parametrize(("rings", "most"), [(True, 6), (False, 1)])
def test_an_alarm_that_never_rests_costs_a_few_scans_a_second(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rings: bool, most: int
) -> None:
    clock = Clock(monkeypatch)
    scanner: Any = make(tmp_path / "inbox")
    scans = []
    real = scanner.scan

    def counted() -> Any:
        scans.append(time.monotonic())
        return real()

    scanner.scan = counted
    alarm = Alarm(None)
    intake = Intake(scanner, scanner.claims, spool, Publisher(spool, tmp_path, print), alarm, lambda: None)
    for _ in range(1000):
        if rings:
            alarm.rung.set()
        intake.turn()
        clock.pass_(0.001)
    assert 1 <= len(scans) <= most
