"""Whatever the administrator's command does, the runner goes on."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.jobs.record import Job, now
from pipeline.jobs.result import Failed
from pipeline.outbox.publish import build_log
from pipeline.runner.notifier import Notifier
from pipeline.runner.publisher import Tally
from tests.conftest import wait_for

FAILURE = build_log(Job(id="a-20260101-000000-0000", name="a", claimed_at=now()), None, Failed(reason="too small"))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command_that_hangs_is_ended_with_what_it_started(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "import subprocess, sys, time; from pathlib import Path;"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);"
        f"Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid)); time.sleep(300)"
    )
    notifier = Notifier(python(code), timeout_seconds=3)
    notifier.batch(Tally())
    child = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    notifier.close()
    assert "takes longer than 3 s and was ended" in caplog.text
    wait_for(lambda: not is_running(child))


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_command_that_fails_or_does_not_read_is_told_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier(python("import sys; sys.exit(7)"))
    notifier.batch(Tally(), "x" * 1_000_000)  # more than a pipe holds
    notifier.close()
    assert "ended with 7" in caplog.text


def test_events_that_pile_up_do_not_keep_the_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.runner.notifier.MAX_WAITING", 2)
    caplog.set_level(logging.WARNING)
    notifier = Notifier(python("import time; time.sleep(300)"), timeout_seconds=1)
    before = time.monotonic()
    for _ in range(5):
        notifier.failure(FAILURE, tmp_path)
    notifier.batch(Tally())
    assert time.monotonic() - before < 1
    assert "2 events wait already; this one is left out" in caplog.text
    notifier.close()
    assert time.monotonic() - before < 10
    assert "events are left out, the last of them: {'event': 'batch'" in caplog.text


def test_all_that_waits_is_told_in_the_end_though_that_takes_longer_than_one_command_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = Notifier(["never run"], timeout_seconds=0.0)
    told: list[str] = []
    is_closing = threading.Event()

    def slow(event: bytes) -> bool:
        is_closing.wait(60)
        told.append(json.loads(event)["event"])
        return True

    monkeypatch.setattr(notifier, "_run", slow)
    for _ in range(4):
        notifier.failure(FAILURE, tmp_path)
    notifier.batch(Tally())
    threading.Timer(0.5, is_closing.set).start()
    notifier.close()
    assert told == ["failure"] * 4 + ["batch"]


def test_without_a_command_nothing_is_started() -> None:
    notifier = Notifier(None)
    notifier.batch(Tally())
    notifier.close()
    assert not notifier._thread.is_alive()
