"""Several workers on one machine, through the installed command; a stand-in paints."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pipeline.jobs import attempt
from tests.conftest import Place, wait_for


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
