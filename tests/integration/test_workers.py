"""Several workers on one machine, through the installed command; a stand-in paints."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs import attempt
from tests.conftest import STAND_IN, Place, wait_for


@pytest.mark.stand_in
def test_two_workers_have_a_job_each_and_their_share_of_the_cores(place: Place) -> None:
    place.pair()
    for name in "abc":
        place.manifest(f"{name}.yaml", parameters={"steps_per_epoch": 60})
    process = place.start("run", "--workers", "2", quiet=True)

    def both() -> set[int]:
        found = [attempt.worker(folder) for folder in (place.jobs / "running").glob("*/attempt-1")]
        pids = {worker.pid for worker in found if worker}
        return pids if len(pids) == 2 else set()

    pids = wait_for(both)
    threads = str(max(1, len(os.sched_getaffinity(0)) // 2))
    for pid in pids:
        environment = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        assert f"TF_NUM_INTRAOP_THREADS={threads}" in environment
    said = place.run("status").stdout
    assert all(f"; process {pid} on " in said for pid in pids), said
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert len(list((place.jobs / "queued").glob("*/attempt-1/checkpoint.npz"))) == 2
    assert place.run("run", "--workers", "2").returncode == 0
    assert sorted((log["job"]["name"], log["job"]["attempts"]) for log in place.logs()) == [
        ("a", 2),
        ("b", 2),
        ("c", 1),
    ]
    assert place.leftovers() == []


def test_workers_here_and_a_cluster_are_one_or_the_other(place: Place) -> None:
    done = place.run("run", "--workers", "2", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 2
    assert "Give one of them" in done.stderr


def test_without_a_scheduler_no_job_is_blamed(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml")
    done = place.run("run", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 3
    assert "the scheduler of the cluster cannot be reached" in done.stderr
    assert place.logs() == []
    assert len(list((place.jobs / "queued").iterdir())) == 1


@pytest.mark.stand_in
@pytest.mark.parametrize("killed", ["nobody", "the runner", "a worker"])
def test_a_clip_on_two_workers_is_what_it_is_on_one(tmp_path: Path, tiny_weights: Path, killed: str) -> None:
    """Each paints what lies between two cuts."""
    pytest.importorskip("av")
    from tests.integration.test_clips import drop
    from tests.pictures.test_clips import video
    from tests.worker.test_clip import cut

    def painted(name: str, *options: str) -> tuple[dict[str, Any], Place]:
        place = Place(tmp_path / name, tiny_weights)
        place.environment |= STAND_IN
        (place.inbox / "clip.mp4").write_bytes(video(draw=cut, sound="aac"))
        drop(place, parameters={"frame_steps": 30})
        if killed != "nobody" and options:
            process = place.start("run", "--checkpoint-seconds", "0", *options, quiet=True)
            logs = wait_for(
                lambda: len(found := list(place.jobs.glob("running/*/*/variants/*/loss.jsonl"))) == 2 and found
            )
            wait_for(lambda: all(log.read_text().count("\n") > 8 for log in logs))
            if killed == "a worker":
                worker = attempt.worker(logs[0].parent)
                assert worker is not None
                os.kill(worker.pid, signal.SIGKILL)
                assert process.wait(timeout=120) == 0
            process.kill()
            process.wait()
        assert place.run("run", *options).returncode == 0
        (log,) = place.logs()
        assert place.leftovers() == []
        return log, place

    (one, _), (two, place) = painted("one"), painted("two", "--workers", "2")
    assert one["output"]["sha256"] == two["output"]["sha256"]
    assert one["loss"] == two["loss"]
    assert [{**row, "seconds": 0} for row in one["frames"]] == [{**row, "seconds": 0} for row in two["frames"]]
    assert [row["scene"] for row in two["frames"]] == [1, 1, 1, 2, 2, 2]
    assert one["manifest"] == two["manifest"]
    assert two["job"]["attempts"] == 1 + (killed != "nobody")
    assert (place.result(two).parent / "previews" / "film.mp4").exists()
