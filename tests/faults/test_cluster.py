"""Whatever happens to a cluster's workers, scheduler or runner: every drop ends exactly once.

A real scheduler and two real workers with their nannies, on loopback; in short, and for most nights of random kills,
with a stand-in for the engine.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs import attempt
from tests.conftest import STAND_IN, Place, wait_for, wait_until_said
from tests.faults.conftest import INJECTED

together = pytest.mark.xdist_group("cluster")  # of one process: it is started once

FAST = {"pyramid": "off", "content_layers": ["block1_conv2"], "style_layers": ["block1_conv1"]}
WORKERS = ("one", "two")


class Cluster:
    """A scheduler and its workers; ``mend`` starts what has ended, as a service manager would."""

    def __init__(self, folder: Path, engine: str) -> None:
        # Of a job that goes on for some seconds; in which a worker may start.
        self.steps, self.seconds = (600, 8.0) if engine == "real" else (60, 4.0)
        self._environment = {**os.environ, "PYTHONPATH": str(INJECTED), "ENGINE": engine}
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.mend()

    @property
    def scheduler(self) -> int:
        return self._processes["scheduler"].pid

    def mend(self) -> None:
        self._keep("scheduler", "dask_scheduler", "--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard")
        for name in WORKERS:
            settings = ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard", "--name", name]
            self._keep(name, "dask_worker", self.address, *settings, "--local-directory", str(self._folder))

    def kill_scheduler(self) -> None:
        """And wait for the workers to end, as they do unless they have not found it yet."""
        self._processes["scheduler"].kill()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)

    def retire(self, nanny: int) -> None:
        """Tell a worker to end."""
        (process,) = (process for process in self._processes.values() if process.pid == nanny)
        process.terminate()
        process.wait(60)

    def close(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def _keep(self, name: str, command: str, *arguments: str) -> None:
        known = self._processes.get(name)
        if known is None or known.poll() is not None:
            with (self._folder / f"{name}.log").open("ab") as log:
                whole = [sys.executable, "-m", f"distributed.cli.{command}", *arguments]
                self._processes[name] = subprocess.Popen(
                    whole, stdout=log, stderr=log, cwd=self._folder, env=self._environment
                )


@pytest.fixture(scope="session")
def cluster_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Cluster]]:
    """Tells the cluster whose workers have an engine, which is started once."""
    with contextlib.ExitStack() as closing:

        @functools.cache
        def started(engine: str) -> Cluster:
            cluster = Cluster(tmp_path_factory.mktemp("cluster"), engine)
            closing.callback(cluster.close)
            return cluster

        yield started


@pytest.fixture
def cluster(
    cluster_of: Callable[[str], Cluster], place: Place, is_long: bool, request: pytest.FixtureRequest
) -> Cluster:
    is_real = is_long and not request.node.get_closest_marker("stand_in")
    cluster = cluster_of("real" if is_real else "stand-in")
    place.pair()
    place.environment |= {"STYLISTIC_SCHEDULER": cluster.address, "STYLISTIC_CHECKPOINT_SECONDS": "0"}
    cluster.mend()
    return cluster


def drop(place: Place, *names: str, steps: int) -> None:
    for name in names:
        place.manifest(f"{name}.yaml", parameters={**FAST, "steps_per_epoch": steps})


def at_work(place: Place, name: str, number: int = 1, steps: int = 5) -> attempt.Worker:
    """Who is at an attempt at a job, once it has made some steps."""

    def look() -> attempt.Worker | None:
        for folder in (place.jobs / "running").glob(f"{name}-*/attempt-{number}"):
            with contextlib.suppress(OSError):
                if (folder / "loss.jsonl").read_bytes().count(b"\n") > steps:
                    return attempt.worker(folder)
        return None

    try:
        return wait_for(look)  # type: ignore[no-any-return]
    except AssertionError as error:
        entries = [str(path.relative_to(place.jobs)) for path in sorted(place.jobs.rglob("*"))]
        raise AssertionError(f"nobody is at attempt {number} of {name}: {entries}") from error


def at_variants(place: Place, name: str) -> list[attempt.Worker]:
    """Who is at the variants of a sweep, of which steps have been made."""
    folder = next(place.jobs.glob(f"running/{name}-*/attempt-1"), Path())
    has_begun = len(list(folder.glob("variants/*/loss.jsonl"))) > 1
    return attempt.workers(folder) if has_begun else []


def parent(pid: int) -> int:
    """The Dask worker of a process that paints."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def ended(place: Place, **attempts: int) -> dict[str, Any]:
    """The logs by name, when every drop has ended exactly once, after so many attempts, with its own picture."""
    logs = {log["job"]["name"]: log for log in place.logs()}
    assert len(place.logs()) == len(logs), "a job has two results"
    assert {name: (log["status"], log["job"]["attempts"]) for name, log in logs.items()} == {
        name: ("done", number) for name, number in attempts.items()
    }
    for log in logs.values():
        assert log["loss"]["step"] == list(range(1, len(log["loss"]["step"]) + 1))
        assert hashlib.sha256(place.result(log).read_bytes()).hexdigest() == log["output"]["sha256"]
    assert sorted(path.name for path in (place.jobs / "done").iterdir()) == sorted(
        f"{log['job']['id']}.json" for log in logs.values()
    )
    assert place.leftovers() == []
    return logs


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    _, errors = process.communicate(timeout=200)
    assert process.returncode == code, errors
    return errors


@together
def test_a_killed_workers_job_goes_on_elsewhere_to_the_same_bytes(place: Place, cluster: Cluster) -> None:
    drop(place, "a", "b", steps=cluster.steps)
    process = place.start("run")
    victim = at_work(place, "a")
    os.kill(parent(victim.pid), signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{victim.pid}").exists(), 20)  # it dies with its Dask worker
    finish(process)
    logs = ended(place, a=2, b=1)
    assert logs["a"]["loss"] == logs["b"]["loss"]
    assert logs["a"]["output"]["sha256"] == logs["b"]["output"]["sha256"]
    assert logs["a"]["engine"]["host"] == socket.gethostname()


@together
@pytest.mark.stand_in
def test_a_pause_stops_what_runs_there_and_it_goes_on_when_that_is_over(place: Place, cluster: Cluster) -> None:
    drop(place, "a", "b", "c", steps=4 * cluster.steps)
    watcher = place.start("watch", quiet=True)
    try:
        at_work(place, "a")
        at_work(place, "b")
        assert place.run("pause", "--now").returncode == 0
        wait_for(lambda: len(list(place.jobs.glob("queued/*"))) == 3)
        assert place.logs() == []
        assert place.run("resume").returncode == 0
        wait_for(lambda: len(place.logs()) == 3)
    finally:
        watcher.terminate()
        watcher.wait(60)
    ended(place, a=2, b=2, c=1)


@together
def test_a_sweep_is_painted_by_all_workers_and_goes_on_when_one_of_them_is_killed(
    place: Place, cluster: Cluster
) -> None:
    parameters = {**FAST, "steps_per_epoch": cluster.steps}
    for name in "ab":
        place.manifest(f"{name}.yaml", sweep={"seed": [1, 2, 3]}, parameters=parameters)
    process = place.start("run")
    (first, second) = wait_for(lambda: (found := at_variants(place, "a")) and len(found) == 2 and found)
    assert first.address != second.address
    os.kill(first.pid, signal.SIGKILL)
    finish(process)
    killed, whole = (next(log for log in place.logs() if log["job"]["name"] == name) for name in "ab")
    assert (killed["job"]["attempts"], whole["job"]["attempts"]) == (2, 1)
    pictures = [
        [place.result(log).with_name(row["file"]).read_bytes() for row in log["variants"]] for log in (killed, whole)
    ]
    assert pictures[0] == pictures[1]
    assert place.leftovers() == []


@together
@pytest.mark.stand_in
def test_a_clips_parts_are_painted_by_all_workers_to_the_bytes_of_one_machine(
    place: Place, cluster: Cluster, tmp_path: Path, tiny_weights: Path
) -> None:
    pytest.importorskip("av")
    from tests.integration.test_clips import drop as drop_clip
    from tests.pictures.test_clips import video
    from tests.worker.test_clip import cut

    here = Place(tmp_path / "here", tiny_weights)
    here.environment |= STAND_IN
    for one in (place, here):
        (one.inbox / "clip.mp4").write_bytes(video(draw=cut, sound="aac"))
        drop_clip(one, name="a.yaml", parameters={"frame_steps": 30})
    process = place.start("run")
    first, second = wait_for(lambda: (found := at_variants(place, "a")) and len(found) == 2 and found)
    assert first.address != second.address
    os.kill(first.pid, signal.SIGKILL)
    finish(process)
    assert here.run("run").returncode == 0
    (there,), (alone,) = place.logs(), here.logs()
    assert there["job"]["attempts"] == 2
    assert there["output"]["sha256"] == alone["output"]["sha256"]
    assert there["loss"] == alone["loss"]
    assert [row["scene"] for row in there["frames"]] == [1, 1, 1, 2, 2, 2]
    assert place.leftovers() == []


@together
@pytest.mark.parametrize("is_painter_first", [True, False])
def test_a_worker_told_to_end_with_all_its_processes_is_not_blamed(
    place: Place, cluster: Cluster, is_painter_first: bool
) -> None:
    """As a batch system does that takes a node back."""
    drop(place, "a", steps=cluster.steps)
    process = place.start("run", "--checkpoint-seconds", "600")
    painter = at_work(place, "a").pid
    pids = [painter, parent(painter), parent(parent(painter))]
    for pid in pids if is_painter_first else reversed(pids):
        os.kill(pid, signal.SIGTERM)
    assert "died" not in finish(process)
    ended(place, a=2)


@together
def test_a_retired_workers_job_goes_on_elsewhere_without_blame(place: Place, cluster: Cluster, is_long: bool) -> None:
    if not is_long:
        pytest.skip("long")
    drop(place, "a", steps=cluster.steps)
    process = place.start("run", "--checkpoint-seconds", "600")
    retired = at_work(place, "a")
    cluster.retire(parent(parent(retired.pid)))
    assert "died" not in finish(process)
    ended(place, a=2)


@together
def test_a_frozen_workers_job_is_moved_and_what_it_writes_when_woken_is_ignored(
    place: Place, cluster: Cluster, is_long: bool
) -> None:
    # A worker may take some seconds to start where all cores are busy, and is to be seen at the second attempt.
    drop(place, "a", steps=3 * cluster.steps)
    process = place.start("watch", "--step-timeout", "30" if is_long else "10", quiet=True)
    frozen = at_work(place, "a")
    pids = (frozen.pid, parent(frozen.pid))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        moved = at_work(place, "a", 2)
        assert moved.address != frozen.address
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    wait_for(place.logs)
    drop(place, "b", "c", steps=20)  # the woken one is as good as any
    wait_for(lambda: len(list((place.jobs / "done").glob("*"))) == 3)
    process.send_signal(signal.SIGTERM)
    finish(process)
    ended(place, a=2, b=1, c=1)


@together
def test_a_cancelled_job_stops_there_its_worker_goes_on_and_it_comes_back_on_demand(
    place: Place, cluster: Cluster
) -> None:
    drop(place, "a", "b", steps=3 * cluster.steps)
    process = place.start("watch", quiet=True)
    workers = [at_work(place, name) for name in "ab"]
    (job_id,) = (path.name for path in (place.jobs / "running").glob("a-*"))
    assert place.run("cancel", job_id).stdout == f"{job_id}: stops now\n"
    wait_for((place.jobs / "failed" / job_id / "attempt-1" / "checkpoint.npz").exists)
    (cancelled,) = place.logs()
    assert cancelled["error"].startswith("cancelled by ")
    assert len(cancelled["loss"]["step"]) > 5
    assert all(Path(f"/proc/{worker.pid}").exists() for worker in workers)
    assert place.run("retry", job_id).returncode == 0
    wait_for(lambda: len(list((place.jobs / "done").glob("*"))) == 2)
    process.send_signal(signal.SIGTERM)
    finish(process)
    logs = ended(place, a=2, b=1)
    assert logs["a"]["loss"] == logs["b"]["loss"]
    assert logs["a"]["output"]["sha256"] == logs["b"]["output"]["sha256"]


@together
def test_a_job_that_is_cancelled_on_a_frozen_worker_ends_all_the_same(
    place: Place, cluster: Cluster, is_long: bool
) -> None:
    if not is_long:
        pytest.skip("long")
    drop(place, "a", steps=9000)
    process = place.start("watch", quiet=True)
    frozen = at_work(place, "a")
    pids = (frozen.pid, parent(frozen.pid))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        (job_id,) = (path.name for path in (place.jobs / "running").glob("a-*"))
        assert place.run("cancel", job_id).stdout == f"{job_id}: stops now\n"
        wait_for(lambda: place.logs() and (place.jobs / "failed" / job_id).exists())
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    drop(place, "b", "c", steps=20)
    wait_for(lambda: len(list((place.jobs / "done").glob("*"))) == 2)
    process.send_signal(signal.SIGTERM)
    finish(process)
    errors = {log["job"]["name"]: log["error"] for log in place.logs()}
    assert errors["a"].startswith("cancelled by ")
    assert (errors["b"], errors["c"]) == (None, None)
    assert place.leftovers() == []


@together
def test_a_scheduler_that_is_killed_and_started_again(place: Place, cluster: Cluster) -> None:
    drop(place, "a", "b", steps=2 * cluster.steps)
    process = place.start("watch")
    at_work(place, "a")
    at_work(place, "b")
    cluster.kill_scheduler()
    wait_until_said(process, "cannot be reached")
    cluster.mend()
    wait_for(lambda: len(list((place.jobs / "done").glob("*"))) == 2)
    process.send_signal(signal.SIGTERM)
    finish(process)
    ended(place, a=2, b=2)


@together
def test_a_scheduler_that_cannot_be_reached_for_a_while(place: Place, cluster: Cluster, is_long: bool) -> None:
    drop(place, "a", "b", "c", steps=cluster.steps // 2)
    process = place.start("run", quiet=True)
    at_work(place, "a")
    os.kill(cluster.scheduler, signal.SIGSTOP)
    time.sleep(60 if is_long else 3)
    os.kill(cluster.scheduler, signal.SIGCONT)
    finish(process)
    ended(place, a=1, b=1, c=1)


@together
def test_a_killed_runners_workers_are_fenced_off_and_one_that_is_told_to_end_takes_its_jobs_back(
    place: Place, cluster: Cluster
) -> None:
    drop(place, "a", "b", steps=4 * cluster.steps)  # so that neither ends before the other has begun
    killed = place.start("run", quiet=True)
    first = [at_work(place, name) for name in "ab"]
    killed.kill()
    killed.wait()
    told = place.start("run", quiet=True)
    for name in "ab":
        at_work(place, name, 2)
    told.send_signal(signal.SIGTERM)
    finish(told)
    queued = sorted((place.jobs / "queued").glob("*/attempt-2"))
    assert [(folder / "checkpoint.npz").exists() for folder in queued] == [True, True]
    finish(place.start("run", quiet=True))
    ended(place, a=3, b=3)
    assert all(Path(f"/proc/{worker.pid}").exists() for worker in first), "they only let go of their jobs"


@together
def test_a_job_that_kills_its_workers_fails_after_three(place: Place, cluster: Cluster) -> None:
    drop(place, "deadly", steps=9000)
    drop(place, "good", steps=20)
    process = place.start("run", quiet=True)
    for number in (1, 2, 3):
        os.kill(at_work(place, "deadly", number, steps=0).pid, signal.SIGKILL)
    finish(process, 1)
    logs = {log["job"]["name"]: log for log in place.logs()}
    assert "its worker process died or hung 3 times" in logs["deadly"]["error"]
    assert logs["good"]["status"] == "done"
    assert place.leftovers() == []


def test_a_night_of_random_kills(place: Place, cluster: Cluster, is_long: bool, night: int) -> None:
    if not is_long:
        pytest.skip("long")
    wanted = 15
    dice = random.Random(night)
    kills = dict.fromkeys(("scheduler", "runner", "worker", "painter"), 0)
    names: list[str] = []
    process = place.start("watch", quiet=True)
    while sum(kills.values()) < wanted:
        while len(names) - len(place.logs()) < 4:
            names.append(f"n{len(names):02}")
            drop(place, names[-1], steps=cluster.steps)
        time.sleep(dice.uniform(cluster.seconds / 4, cluster.seconds))
        workers = [one for path in (place.jobs / "running").glob("*/attempt-*") if (one := attempt.worker(path))]
        victim = dice.choice(["worker", "worker", "painter", "runner", "scheduler"])
        if victim == "scheduler":
            cluster.kill_scheduler()
        elif victim == "runner":
            process.kill()
            process.wait()
            process = place.start("watch", quiet=True)
        elif workers:
            pid = dice.choice(workers).pid
            with contextlib.suppress(OSError):
                os.kill(pid if victim == "painter" else parent(pid), signal.SIGKILL)
        else:
            continue
        kills[victim] += 1
        cluster.mend()
    wait_for(lambda: sum(len(list((place.jobs / s).glob("*"))) for s in ("done", "failed")) == len(names), 300)
    wait_for(lambda: hears(process, signal.SIGTERM))
    process.send_signal(signal.SIGTERM)
    finish(process)
    logs = place.logs()
    failed = [log for log in logs if log["status"] == "failed"]
    print(f"kills survived: {kills}, jobs: {len(names)}, failed for three deaths: {len(failed)}")
    assert sorted(log["job"]["name"] for log in logs) == names, "each has one result"
    assert all("died or hung 3 times" in log["error"] for log in failed)
    assert place.leftovers() == []


def hears(process: subprocess.Popen[str], number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal: one that was started just now dies of it."""
    caught = re.search(r"^SigCgt:\t(\w+)", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)
