"""The executor of a cluster, with real Dask workers in this process and a task that does what a test says."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster, get_worker

from pipeline.errors import EnvironmentFault, UsageError
from pipeline.jobs import attempt, result
from pipeline.jobs.record import Job
from pipeline.jobs.result import Failed, Outcome
from pipeline.jobs.spool import Spool
from pipeline.runner import cluster as module
from pipeline.runner.cluster import ClusterExecutor, connector, slots
from pipeline.worker import remote
from pipeline.worker.session import Options
from tests.conftest import wait_for
from tests.runner.conftest import admit
from tests.runner.test_dispatch import Desk

OPTIONS = Options(weights=None, max_pixels=1, checkpoint_seconds=1)
BLIND: set[str] = set()  # addresses of workers that do not see the jobs folder
HELD = threading.Event()  # what a job that goes on waits for


def see(folder: Path, number: int, variant: int | None, options: Options) -> tuple[Outcome, str]:
    """As `remote.run` does where there is no folder; else the job ends at once."""
    here = str(get_worker().address)
    if here in BLIND:
        return remote.run(Path("/nowhere/running/a"), number, variant, options)
    result.leave(attempt.begin(folder, number, attempt.Worker(address=here)), Failed(reason=f"seen by {here}"))
    return Outcome("through"), here


def go_on(folder: Path, number: int, variant: int | None, options: Options) -> tuple[Outcome, str]:
    here = str(get_worker().address)
    attempt.begin(folder, number, attempt.Worker(address=here))
    HELD.wait(60)
    return Outcome("stopped"), here


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", protocol="tcp://", memory_limit=0
    ) as cluster:
        yield cluster


@pytest.fixture
def client(local: LocalCluster) -> Iterator[Client]:
    BLIND.clear()
    HELD.clear()
    with Client(local.scheduler_address, set_as_default=False) as client:
        yield client
        HELD.set()
        # A job that began only when the next test has cleared it would hold a worker for a minute.
        wait_for(lambda: not any(worker.state.executing for worker in local.workers.values()))


@pytest.fixture
def executor(client: Client) -> Iterator[ClusterExecutor]:
    executor = ClusterExecutor(lambda: client, OPTIONS, see)
    wait_for(lambda: executor.capacity == 2)
    yield executor
    executor.close()


def work(desk: Desk, jobs: int) -> None:
    """Turn until so many have ended."""

    def is_through() -> bool:
        desk.turn()
        return len(desk.said) == jobs

    wait_for(is_through, 30)


def test_a_job_goes_to_another_worker_when_one_cannot_see_its_folder(
    spool: Spool, tmp_path: Path, executor: ClusterExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    blind, seeing = sorted(executor._slots)
    BLIND.add(blind)
    for name in "abcd":
        admit(spool, name)
    desk = Desk(spool, tmp_path, executor=executor)
    work(desk, 4)
    assert all(f"seen by {seeing}" in line for line in desk.said)
    assert any(f"{blind}: " in said and "cannot see /nowhere/running/a. Mount" in said for said in caplog.messages)
    assert executor.capacity == 1
    assert desk.faults.standing == {}


def test_what_no_worker_can_see_is_told_as_a_fault(spool: Spool, tmp_path: Path, executor: ClusterExecutor) -> None:
    BLIND.update(executor._slots)
    job_id = admit(spool, "a")
    desk = Desk(spool, tmp_path, executor=executor)

    def is_told() -> bool:
        desk.turn()
        return bool(desk.faults.standing)

    wait_for(is_told, 30)
    assert "cannot see" in desk.faults.standing["the worker"]
    assert Job.load(spool.queued / job_id).deaths == 0
    assert executor.capacity == 2


def test_an_attempt_that_hangs_is_given_up_and_its_worker_left_alone(
    spool: Spool, tmp_path: Path, client: Client
) -> None:
    job_id = admit(spool, "a")
    executor = ClusterExecutor(lambda: client, OPTIONS, go_on)
    wait_for(lambda: executor.capacity == 2)
    run = executor.submit(spool.start(job_id), spool.running / job_id, None, None)
    wait_for(run.has_begun)
    run.kill()
    assert run.future.result() == Outcome("died")
    assert executor.capacity == 1
    assert run.address not in executor._usable()
    executor.close()


def test_a_stop_before_it_has_begun_needs_no_worker(spool: Spool, client: Client) -> None:
    ids = [admit(spool, name) for name in "abc"]
    executor = ClusterExecutor(lambda: client, OPTIONS, go_on)
    wait_for(lambda: executor.capacity == 2)
    runs = [executor.submit(spool.start(job_id), spool.running / job_id, None, None) for job_id in ids]
    wait_for(lambda: sum(run.has_begun() for run in runs) == 2)
    waiting = next(run for run in runs if not run.has_begun())
    waiting.stop()
    assert waiting.future.result(0) == Outcome("stopped")
    executor.close()
    assert [run.future.result(0).kind for run in runs if run is not waiting] == ["lost", "lost"]


def test_what_the_client_asks_by_itself_takes_no_worker_away(
    spool: Spool, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = client._update_scheduler_info

    async def heard_again(n_workers: int = 0) -> None:
        """As it is where the client's own question, which leaves the workers out, comes right after ours."""
        await heard(n_workers)
        await heard(0)

    monkeypatch.setattr(client, "_update_scheduler_info", heard_again)
    job_id = admit(spool, "a")
    executor = ClusterExecutor(lambda: client, OPTIONS, go_on)
    wait_for(lambda: executor.capacity == 2)
    run = executor.submit(spool.start(job_id), spool.running / job_id, None, None)
    wait_for(run.has_begun)
    executor._look(client)
    assert executor.capacity == 2
    assert run.gone_since is None
    executor.close()


def test_the_scheduler_keeps_nothing_of_a_job_that_has_ended(
    spool: Spool, tmp_path: Path, local: LocalCluster, executor: ClusterExecutor
) -> None:
    before = set(local.scheduler.task_prefixes)
    for name in "abcd":
        admit(spool, name)
    work(Desk(spool, tmp_path, executor=executor), 4)
    assert set(local.scheduler.task_prefixes) - before <= {"stylistic"}


def test_a_scheduler_that_is_not_there_is_a_fault_of_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    executor = ClusterExecutor(connector("tcp://127.0.0.1:9", None), OPTIONS)

    def problem() -> str:
        with contextlib.suppress(EnvironmentFault):
            assert executor.capacity == 0
            return ""
        return executor._problem

    assert "the scheduler of the cluster cannot be reached" in wait_for(problem)
    executor.close()


def test_without_the_extra_the_option_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(UsageError, match=r"stylistic\[cluster\]"):
        connector("tcp://127.0.0.1:9", None)


def test_capacity_is_counted_in_gpus_where_workers_declare_them() -> None:
    def worker(nthreads: int, gpus: float | None = None, status: str = "running") -> dict[str, object]:
        return {"nthreads": nthreads, "resources": {} if gpus is None else {"GPU": gpus}, "status": status}

    plain = {"a": worker(2), "b": worker(1), "c": worker(4, status="closing_gracefully")}
    assert slots(plain) == ({"a": 2, "b": 1}, False)
    assert slots(plain | {"d": worker(8, 2.0)}) == ({"d": 2}, True)
    assert slots({}) == ({}, False)
