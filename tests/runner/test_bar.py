"""How long a job still takes."""

from __future__ import annotations

import pytest

from pipeline.jobs.losses import Loss
from pipeline.runner.bar import Bar
from tests.inbox.conftest import Clock


def losses(first: int, last: int) -> list[Loss]:
    return [Loss(step=n, scale=64, total=1, content=0, style=1, total_variation=0) for n in range(first, last + 1)]


def test_the_pace_is_that_of_this_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    bar = Bar("a", 300)
    bar.show(losses(1, 160))  # of the run before, ten steps of which the checkpoint does not know
    assert bar.seconds_left() is None
    clock.pass_(30)  # TensorFlow starts
    bar.show(losses(1, 151))  # the log was cut, and the first step made
    assert bar.seconds_left() is None
    clock.pass_(20)
    bar.show(losses(152, 161))
    assert bar.seconds_left() == pytest.approx((300 - 161) * 2)


def test_a_fresh_job_is_timed_from_its_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    bar = Bar("a", 100)
    clock.pass_(10)
    bar.show(losses(1, 1))
    clock.pass_(9)
    bar.show(losses(2, 10))
    assert bar.seconds_left() == pytest.approx(90)
