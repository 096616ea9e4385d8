"""`pause` and `resume`: nothing new is started, what runs goes on, and all of it is said."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Place, wait_for, wait_until_said

pytestmark = pytest.mark.stand_in
LONG = {"steps_per_epoch": 60}  # some seconds
LONGER = {"steps_per_epoch": 240}
QUICK = {"steps_per_epoch": 2}


def paused(place: Place, *options: str) -> None:
    """Pause, and make sure that it is told by whom."""
    told = place.run("pause", *options)
    assert told.returncode == 0, told.stderr
    assert f"paused by {getpass.getuser()} since 20" in told.stdout


def queued(place: Place) -> list[str]:
    return sorted(path.name.split("-")[0] for path in (place.jobs / "queued").glob("*"))


def names(place: Place) -> list[str]:
    return [log["job"]["name"] for log in place.logs()]


def page(place: Place) -> dict[str, object]:
    text = (place.outbox / "index.html").read_text(encoding="utf-8")
    data = text.partition('id="data">')[2].partition("</script>")[0]
    status: dict[str, object] = json.loads(data)["status"]
    return status


def running(place: Place, steps: int = 5) -> bool:
    """Whether a job has come so far."""
    return any(path.read_bytes().count(b"\n") > steps for path in place.jobs.glob("running/*/attempt-*/loss.jsonl"))


def test_a_run_takes_in_says_what_is_left_and_exits_with_0(place: Place) -> None:
    paused(place)
    place.pair()
    place.manifest("a.yaml", parameters=QUICK)
    place.manifest("b.yaml", parameters=QUICK)
    for workers in ("1", "2"):
        ended = place.run("run", "--workers", workers)
        assert ended.returncode == 0, ended.stderr
        assert f"paused by {getpass.getuser()} since 20" in ended.stderr
        assert "0 done, 0 failed, 2 left" in ended.stderr
        assert "`stylistic resume`, then run again to go on" in ended.stderr
        assert (queued(place), names(place)) == (["a", "b"], [])
    said = place.run("status")
    assert f"paused by {getpass.getuser()} since 20" in said.stdout
    assert "queued: 2" in said.stdout
    told = json.loads(place.run("status", "--json").stdout)["paused"]
    assert (told["by"], told["stops_jobs"]) == (getpass.getuser(), False)
    assert page(place)["paused"] == told
    assert "goes on" in place.run("resume").stdout
    assert page(place)["paused"] is None
    assert json.loads(place.run("status", "--json").stdout)["paused"] is None
    assert place.run("run").returncode == 0
    assert sorted(names(place)) == ["a", "b"]
    assert place.leftovers() == []


def test_what_runs_goes_on_and_a_restart_changes_nothing(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml", parameters=LONG)
    watcher = place.start("watch", quiet=True)
    wait_for(lambda: running(place))
    paused(place)
    place.manifest("b.yaml", parameters=QUICK)
    wait_for(lambda: names(place) == ["a"])
    wait_for(lambda: queued(place) == ["b"])
    wait_for(lambda: page(place)["paused"])
    watcher.terminate()
    watcher.wait(60)
    watcher = place.start("watch")
    try:
        wait_until_said(watcher, "nothing is started until `stylistic resume`")
        place.manifest("c.yaml", parameters=QUICK)
        wait_for(lambda: queued(place) == ["b", "c"])
        assert names(place) == ["a"]
        assert place.run("resume").returncode == 0
        wait_for(lambda: sorted(names(place)) == ["a", "b", "c"])
    finally:
        watcher.terminate()
        watcher.communicate(timeout=60)


@pytest.mark.parametrize("more", [{}, {"sweep": {"seed": [1, 2]}}], ids=["one picture", "a sweep"])
def test_now_what_runs_leaves_a_checkpoint_and_goes_on_from_there(place: Place, more: dict[str, Any]) -> None:
    place.pair()
    place.manifest("a.yaml", parameters=LONGER, **more)
    watcher = place.start("watch", "--workers", "2", "--checkpoint-seconds", "0", quiet=True)
    try:
        wait_for(lambda: running(place) or list(place.jobs.glob("running/*/attempt-*/variants/001/loss.jsonl")))
        paused(place, "--now")
        wait_for(lambda: queued(place) == ["a"])
        assert list(place.jobs.glob("queued/*/attempt-1/**/checkpoint.npz"))
        assert place.run("resume").returncode == 0
        wait_for(lambda: names(place))
    finally:
        watcher.terminate()
        watcher.wait(60)
    (log,) = [log for log in place.logs() if log["job"]["name"] == "a"]
    assert (log["status"], log["job"]["attempts"]) == ("done", 2)


def test_a_full_disk_is_told_in_a_sentence_and_a_pause_there_can_be_ended(place: Place) -> None:
    paused(place)
    full = {
        "FAULT_ROOT": str(place.jobs),
        "FAULT_ROLE": "runner",
        "FAULT_AT": "1",
        "FAULT_KIND": "ENOSPC",
        "FAULT_LOG": str(place.root / "steps"),
    }
    before = (place.jobs / ".pause.json").read_bytes()
    told = place.run("pause", "--now", environment=full)
    assert told.returncode == 3
    assert told.stderr.startswith(f"stylistic: {place.jobs.name}: a pause cannot be noted there (No space left")
    assert told.stderr.count("\n") <= 2
    assert (place.jobs / ".pause.json").read_bytes() == before
    assert place.run("resume").returncode == 0
    assert not (place.jobs / ".pause.json").exists()
    assert place.run("pause", environment=full).returncode == 3
    assert not (place.jobs / ".pause.json").exists()


def damaged(path: Path) -> None:
    path.write_text('{"by": "an')


def linked(path: Path) -> None:
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("put", [damaged, linked, os.mkfifo])
def test_a_marker_that_cannot_be_read_is_a_pause_by_somebody(place: Place, put: Callable[[Path], None]) -> None:
    place.jobs.mkdir()
    put(place.jobs / ".pause.json")
    place.pair()
    place.manifest("a.yaml", parameters=QUICK)
    ended = place.run("run")
    assert ended.returncode == 0, ended.stderr
    assert "1 left; paused by somebody" in ended.stderr or "; paused by somebody: `stylistic resume`" in ended.stderr
    assert "goes on" in place.run("resume").stdout
    assert not os.path.lexists(place.jobs / ".pause.json")


def test_the_first_word_counts_and_resuming_twice_is_fine(place: Place) -> None:
    paused(place)
    first = (place.jobs / ".pause.json").read_bytes()
    paused(place)
    assert (place.jobs / ".pause.json").read_bytes() == first
    paused(place, "--now")
    second = json.loads((place.jobs / ".pause.json").read_bytes())
    assert second == {**json.loads(first), "stops_jobs": True}
    assert "goes on" in place.run("resume").stdout
    assert place.run("resume").stdout == "it was not paused\n"
    assert place.run("pause", "--jobs", "elsewhere").returncode == 3
