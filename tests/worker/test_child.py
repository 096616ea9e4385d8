"""A worker process, as its parent holds it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.jobs.result import Outcome
from pipeline.worker.child import Child
from pipeline.worker.session import Options
from tests.conftest import STAND_IN


@pytest.fixture
def child(hears_hangups: None) -> Iterator[Child]:
    child = Child(Options(None, 10**8, 30), os.environ | STAND_IN)
    yield child
    if child.is_alive:
        os.kill(child._process.pid, signal.SIGKILL)
        child._process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_one_that_a_stop_signal_ends_has_not_died(child: Child, number: int) -> None:
    with ThreadPoolExecutor(1) as waiting:
        ended = waiting.submit(child.wait)
        os.kill(child._process.pid, number)
        if number == signal.SIGINT:  # which the terminal sends to all; its runner passes it on
            child.terminate()
        assert ended.result(60) == Outcome("stopped")
    assert not child.is_alive


def test_one_that_is_killed_before_it_is_ready_has_died(child: Child) -> None:
    os.kill(child._process.pid, signal.SIGKILL)
    assert child.wait() == Outcome("died")


def test_one_that_outlives_its_kill_is_not_waited_for(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that reads from a disk which does not answer."""
    os.kill(child._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(child._process, "kill", lambda: None)
    with ThreadPoolExecutor(1) as waiting:
        ended = waiting.submit(child.wait)
        child.kill()
        assert ended.result(30) == Outcome("died")
    assert child.is_alive
