"""The installed command, `stylistic watch`, on real folders."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import storage
from tests.conftest import COMMAND, Place, picture, wait_for
from tests.inbox.test_alarm import deep

Watching = Callable[..., "subprocess.Popen[str]"]


def done(place: Place, count: int) -> None:
    wait_for(lambda: len(place.logs()) >= count)


@pytest.mark.stand_in
def test_ten_manifests_dropped_at_once_give_ten_results_in_claim_order(place: Place, watching: Watching) -> None:
    place.pair()
    watching()
    for number in range(10):
        place.manifest(f"{number}.yaml", parameters={"steps_per_epoch": 2})
    done(place, 10)
    logs = place.logs()
    assert sorted(log["job"]["name"] for log in logs) == [str(n) for n in range(10)]
    claims = [log["job"]["claimed_at"] for log in logs]
    assert claims == sorted(claims)


@pytest.mark.stand_in
def test_images_may_come_before_after_or_slowly(place: Place, watching: Watching) -> None:
    whole = place.root / "photo.png"
    picture(seed=1).save(whole)
    data = whole.read_bytes()
    watching()
    place.manifest("a.yaml")
    place.photo("painting.png", seed=2)
    with (place.inbox / "photo.png").open("wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        # Longer than the settling time: at rest, but not whole.
        begun = time.monotonic()
        while time.monotonic() - begun < 1.5:
            assert place.logs() == []
            time.sleep(0.05)
        file.write(data[len(data) // 2 :])
    done(place, 1)
    assert place.logs()[0]["status"] == "done"


@pytest.mark.stand_in
def test_a_job_folder_moved_in_runs(place: Place, watching: Watching) -> None:
    watcher = watching()
    folder = place.root / "trip"
    folder.mkdir()
    picture(seed=1).save(folder / "photo.png")
    picture(seed=2).save(folder / "painting.png")
    place.manifest("job.yaml", folder=folder)
    folder.rename(place.inbox / "trip")
    done(place, 1)
    wait_for(lambda: place.leftovers() == ["jobs/.runner.json"])
    watcher.terminate()
    assert "Warning" not in watcher.communicate(timeout=60)[1]


@pytest.mark.stand_in
def test_polling_needs_no_events(place: Place, watching: Watching) -> None:
    place.pair()
    watching("--poll")
    place.manifest("a.yaml", parameters={"steps_per_epoch": 2})
    done(place, 1)


def test_a_waiting_watcher_never_loads_tensorflow(place: Place, watching: Watching) -> None:
    place.pair()
    process = watching()
    place.manifest("a.yaml", parameters={"steps_per_epoch": 2})
    done(place, 1)
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert "libtensorflow" not in maps
    (child,) = _children(process)
    assert "libtensorflow" in Path(f"/proc/{child}/maps").read_text(errors="replace")


@pytest.mark.stand_in
def test_an_idle_watcher_lets_its_worker_go_and_starts_another_with_the_next_drop(
    place: Place, watching: Watching
) -> None:
    place.pair()
    process = watching("--idle-minutes", "0.02")
    for number in (1, 2, 3):
        place.manifest(f"{number}.yaml")
        done(place, number)
        wait_for(lambda: not _children(process))
    assert {log["status"] for log in place.logs()} == {"done"}
    assert [log["job"]["attempts"] for log in place.logs()] == [1, 1, 1]
    process.terminate()
    assert process.communicate(timeout=60)[1].count("memory and device are let go") == 3


@pytest.mark.stand_in
def test_with_no_idle_minutes_a_worker_stays(place: Place, watching: Watching) -> None:
    place.pair()
    process = watching("--idle-minutes", "0")
    place.manifest("a.yaml")
    done(place, 1)
    (child,) = _children(process)
    time.sleep(1.5)
    assert _children(process) == [child]


def test_an_idle_watcher_uses_under_one_percent_of_a_core(place: Place, watching: Watching) -> None:
    for number in range(300):
        (place.inbox / f"{number}.jpg").touch()
    process = watching()
    time.sleep(2)
    ticks = os.sysconf("SC_CLK_TCK")

    def cpu_seconds() -> float:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    before = cpu_seconds()
    time.sleep(10)
    assert cpu_seconds() - before < 0.1


def _children(process: subprocess.Popen[str]) -> list[str]:
    """Of a process, those that have not ended."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, parent = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]
            if int(parent) == process.pid and state != "Z":
                found.append(pid)
    return found


@pytest.mark.stand_in
def test_a_cancelled_job_stops_at_once_and_comes_back_on_demand(place: Place, watching: Watching) -> None:
    place.pair()
    long = {"epochs": 10, "steps_per_epoch": 10_000, "optimizer": "adam"}
    watching()
    place.manifest("a.yaml", parameters=long)
    losses = wait_for(lambda: next(iter((place.jobs / "running").glob("a-*/attempt-1/loss.jsonl")), None))
    place.manifest("b.yaml", parameters=long)
    queued = wait_for(lambda: next(iter((place.jobs / "queued").glob("b-*")), None)).name
    place.manifest("c.yaml")
    running = losses.parent.parent.name
    wait_for(lambda: losses.read_text().count("\n") > 5)
    cancelled = place.run("cancel", queued, running)
    assert cancelled.stdout.splitlines() == [f"{queued}: cancelled", f"{running}: stops now"], cancelled.stderr
    done(place, 3)
    logs = {log["job"]["id"]: log for log in place.logs()}
    for job_id in (queued, running):
        assert (logs[job_id]["status"], logs[job_id]["error"].split(" by ")[0]) == ("failed", "cancelled")
        assert (place.jobs / "failed" / job_id).is_dir()
    assert len(logs[running]["loss"]["step"]) > 5
    assert place.run("cancel", running).stdout == f"{running}: cancelled\n", "again changes nothing"
    assert place.run("retry", running).returncode == 0
    again = losses.parent.with_name("attempt-2") / losses.name
    wait_for(lambda: again.exists() and again.read_text().count("\n") > len(logs[running]["loss"]["step"]))
    assert place.run("cancel", running).returncode == 0
    done(place, 3)


@pytest.mark.stand_in
@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_where_inotify_is_used_up_it_is_said_once_and_drops_are_looked_for(place: Place, limit: str) -> None:
    """In a name space of the user's own, where nothing is left of it."""
    outer = ["unshare", "--user", "--map-root-user"]
    used_up = f"echo 0 > /proc/sys/user/{limit}"
    if subprocess.run([*outer, "sh", "-c", used_up], capture_output=True, check=False).returncode:
        pytest.skip("no name spaces of users here")
    place.pair()
    command = [*outer, "sh", "-c", f"{used_up} && exec {COMMAND} watch"]
    process = subprocess.Popen(command, cwd=place.root, env=place.environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (place.jobs / ".runner.json").exists())
    for number in range(2):
        place.manifest(f"{number}.yaml")
        done(place, number + 1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.count("no file system events") == 1
    assert "Traceback" not in said


@pytest.mark.stand_in
def test_a_folder_deeper_than_events_go_is_said_once_and_drops_are_looked_for(place: Place) -> None:
    place.pair()
    process = place.start("watch")
    wait_for(lambda: (place.jobs / ".runner.json").exists())
    place.manifest("0.yaml")
    done(place, 1)
    deep(place.root / "deep", 1200)
    (place.root / "deep").rename(place.inbox / "deep")
    for number in (1, 2):
        place.manifest(f"{number}.yaml")
        done(place, number + 1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    storage.remove_tree(place.inbox / "deep")
    assert process.returncode == 0
    assert said.count("no file system events") == 1
    assert "Traceback" not in said
