"""Stops as shells, terminals and service managers send them: whoever hears them first, nothing has died."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs import checkpoint
from pipeline.jobs.record import Job
from tests.conftest import COMMAND, Place, wait_for
from tests.faults.test_kills import children

pytestmark = [pytest.mark.stand_in, pytest.mark.timeout(1200), pytest.mark.usefixtures("hears_hangups")]
TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


def to_group(*numbers: int) -> Callable[[int, int], None]:
    """As `kill -- -PGID`, supervisord's stopasgroup, a closed terminal or Ctrl-C."""

    def send(runner: int, _: int) -> None:
        for number in numbers:
            os.killpg(runner, number)

    return send


def to_each(*targets: tuple[str, int], pause: float = 0.0) -> Callable[[int, int], None]:
    """As systemd and scancel, one process after another."""

    def send(runner: int, worker: int) -> None:
        for who, number in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(runner if who == "runner" else worker, number)
            time.sleep(pause)

    return send


def as_timeout_does(runner: int, _: int) -> None:
    os.kill(runner, TERM)
    os.killpg(runner, TERM)


ORDERS: dict[str, Callable[[int, int], None]] = {
    "SIGTERM to the group": to_group(TERM),
    "SIGINT to the group": to_group(INT),
    "SIGHUP to the group": to_group(HUP),
    "SIGTERM and SIGHUP to the group": to_group(TERM, HUP),
    "timeout": as_timeout_does,
    "the worker first": to_each(("worker", TERM), ("runner", TERM)),
    "the worker long first": to_each(("worker", TERM), ("runner", TERM), pause=1.0),
    "the worker first, SIGHUP": to_each(("worker", HUP), ("runner", HUP), pause=0.3),
    "the runner first": to_each(("runner", TERM), ("worker", TERM)),
    "the runner long first": to_each(("runner", TERM), ("worker", TERM), pause=0.3),
}


@pytest.fixture
def begun(place: Place) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int, Path]]]:
    """Starts `run` at a job that lasts, as the leader of a group; gives it, its worker and the attempt's folder."""
    place.pair()
    place.manifest("a.yaml", parameters={"steps_per_epoch": 9000})
    started = []

    def start() -> tuple[subprocess.Popen[str], int, Path]:
        process = subprocess.Popen(
            [COMMAND, "run", "--checkpoint-seconds", "600"],
            cwd=place.root,
            env=place.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        seen: dict[Path, int] = {}

        def at_work() -> Path | None:
            """The attempt's folder once a step was made there."""
            for log in (place.jobs / "running").glob("a-*/attempt-*/loss.jsonl"):
                with contextlib.suppress(OSError):
                    if seen.setdefault(log, log.stat().st_size) < log.stat().st_size:
                        return log.parent
            return None

        folder = wait_for(at_work)
        (worker,) = workers(process.pid)
        return process, worker, folder

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def workers(runner: int) -> list[int]:
    return [pid for pid in children(runner) if "pipeline.worker" in Path(f"/proc/{pid}/cmdline").read_text()]


def queued(place: Place) -> Job:
    (folder,) = (place.jobs / "queued").iterdir()
    return Job.load(folder)


@pytest.mark.parametrize("send", ORDERS.values(), ids=ORDERS)
def test_a_stop_leaves_a_checkpoint_and_no_death_is_counted(
    place: Place, begun: Callable[..., Any], send: Callable[[int, int], None], is_long: bool
) -> None:
    for attempts in range(1, 51 if is_long else 3):
        process, worker, folder = begun()
        send(process.pid, worker)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "died" not in said and "Traceback" not in said
        job = queued(place)
        assert (job.attempts, job.deaths) == (attempts, 0), said
        left = place.jobs / "queued" / job.id / folder.name
        assert (left / checkpoint.FILE).exists(), said
        assert not (left / "worker.json").exists()


def test_a_second_stop_ends_it_at_once(begun: Callable[..., Any]) -> None:
    process, worker, _ = begun()
    os.kill(worker, signal.SIGSTOP)  # which leaves no checkpoint now
    os.kill(process.pid, INT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    os.kill(process.pid, INT)
    assert process.wait(10) == 128 + INT
    wait_for(lambda: not Path(f"/proc/{worker}").exists())


def test_a_worker_that_is_killed_before_it_is_ready_is_replaced(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml")
    process = place.start("run")
    for _ in range(2):
        pid = wait_for(lambda: next(iter(workers(process.pid)), None))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: pid not in workers(process.pid))  # type: ignore[misc]
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    (log,) = place.logs()
    assert log["status"] == "done"
    assert "(1 of 3)" not in said


@pytest.mark.parametrize("is_heard", [True, False], ids=["heard", "under nohup"])
def test_a_terminal_that_is_closed_stops_it_or_under_nohup_changes_nothing(place: Place, is_heard: bool) -> None:
    place.pair()
    place.manifest("a.yaml", parameters={"steps_per_epoch": 9000 if is_heard else 30})
    ours, theirs = os.openpty()
    before = signal.signal(HUP, signal.SIG_DFL if is_heard else signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            # A session of its own, of which this is the terminal.
            ["setsid", "--ctty", COMMAND, "run"],
            cwd=place.root,
            env=place.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
    finally:
        signal.signal(HUP, before)
        os.close(theirs)
    wait_for(lambda: list((place.jobs / "running").glob("a-*/attempt-*/loss.jsonl")))
    os.close(ours)
    assert process.wait(60) == 0
    if is_heard:
        assert queued(place).deaths == 0
    else:
        assert [log["status"] for log in place.logs()] == ["done"]
        assert place.leftovers() == []


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_nobody_listening_any_more_stops_nothing(place: Place, stream: str) -> None:
    place.pair()
    for name in "abc":
        place.manifest(f"{name}.yaml")
    ours, theirs = os.pipe()
    os.close(ours)  # as `| head` does
    process = subprocess.Popen(
        [COMMAND, "run"],
        cwd=place.root,
        env=place.environment,
        stdout=theirs if stream == "stdout" else subprocess.PIPE,
        stderr=theirs if stream == "stderr" else subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    said = "".join(text for text in process.communicate(timeout=120) if text)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert len(place.logs()) == 3


def test_streams_that_are_closed_from_the_start_stop_nothing(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml")
    done = subprocess.run(["sh", "-c", f"exec {COMMAND} run <&- >&- 2>&-"], cwd=place.root, env=place.environment)
    assert done.returncode == 0
    assert [log["status"] for log in place.logs()] == ["done"]
