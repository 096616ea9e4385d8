"""A worker process, as its parent holds it."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.jobs.result import Outcome
from pipeline.worker.child import Child, Order
from pipeline.worker.session import Options
from tests.conftest import STAND_IN, wait_for


def test_an_order_that_meets_a_worker_on_its_way_out_is_lost_to_it_and_no_death(tmp_path: Path) -> None:
    options = Options(tmp_path / "none.h5", 10**6, 30, idle_seconds=0.01)
    child = Child(options, {**os.environ, **STAND_IN})
    wait_for(lambda: not child.is_alive)
    child.send(Order(tmp_path, 1))
    assert child.answer(30) == Outcome("lost")
