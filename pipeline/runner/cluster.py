"""Jobs run by the workers of a Dask cluster, which places them; the spool stays the one truth."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, InvalidStateError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import storage
from pipeline.errors import EnvironmentFault, UsageError
from pipeline.jobs import attempt
from pipeline.jobs.record import Job
from pipeline.jobs.result import Outcome
from pipeline.jobs.spool import STOP
from pipeline.worker import remote
from pipeline.worker.session import Options

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

Task = Callable[[Path, int, int | None, Options], tuple[Outcome, str]]

POLL_SECONDS = 1.0  # between looks at the scheduler
CONNECT_SECONDS = 5.0
FAULTY_SECONDS = 60.0  # that a worker is left alone after a fault
LEAVE_SECONDS = 5.0  # for a worker that has left the cluster to leave its job in order
HUNG_SECONDS = 600.0  # after a job that made no step; the scheduler gives up a silent worker in half of that


def connector(address: str | None, scheduler_file: Path | None) -> Callable[[], Client]:
    """What connects to a scheduler.

    Raises:
        UsageError: the extra is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        advice = 'Install it: pip install "stylistic[cluster]", or ".[cluster]" from a checkout.'
        raise UsageError(f"--scheduler needs Dask ({error}).", advice) from None
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what it meets is told here, in a sentence

    def connect() -> Client:
        where = {"scheduler_file": str(scheduler_file)} if scheduler_file else {"address": address}
        return distributed.Client(**where, timeout=CONNECT_SECONDS, set_as_default=False, name="stylistic")

    return connect


class ClusterRun:
    """An attempt at a job, as a task of the cluster."""

    def __init__(self, executor: ClusterExecutor, job: Job, folder: Path, variant: int | None = None) -> None:
        self.future: Future[Outcome] = Future()
        self.job = job
        self.folder = folder
        self.task: Any = None  # Dask's future
        self.address = ""  # of its worker, once it has begun
        self.gone_since: float | None = None  # monotonic time at which that worker was seen to have left the cluster
        self._executor = executor
        self._attempt = attempt.place(folder, job.attempts, variant)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            storage.mark(self.folder / STOP)
        if not self.has_begun():
            self.settle(Outcome("stopped"))

    def kill(self) -> None:
        if not self.future.done():
            if begun := self.has_begun():
                self._executor.avoid(self.address, HUNG_SECONDS)
            self.settle(Outcome("died" if begun else "lost"))

    def look_for_worker(self, present: Collection[str]) -> None:
        """Have it ended if its worker is not among those present: by death, unless the worker has left it in order."""
        if self.gone_since is None and self.address not in present:
            self.gone_since = time.monotonic()
        if self.gone_since is None:
            return
        if attempt.worker(self._attempt) is None:
            self.settle(Outcome("lost"))
        elif time.monotonic() - self.gone_since > LEAVE_SECONDS:
            log.warning("%s: its worker %s is gone", self.job.id, self.address)
            self.settle(Outcome("died"))

    def has_begun(self) -> bool:
        """Whether a worker is at it, whose address is known from then on."""
        if not self.address and (worker := attempt.worker(self._attempt)):
            self.address = worker.address
        return bool(self.address)

    def settle(self, outcome: Outcome) -> None:
        """Let it have ended so, unless it has ended otherwise; the cluster need not know of it any more."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_result(outcome)
        task, self.task = self.task, None
        if task is not None:
            task.release()


class ClusterExecutor:
    """Workers of a cluster, followed as they come and go.

    Args:
        connect: gives a client that is connected.
        options: handed to every job.
        task: what a worker does of an attempt; gives how it ended, and the worker's address.
    """

    def __init__(self, connect: Callable[[], Client], options: Options, task: Task = remote.run) -> None:
        self._connect = connect
        self._options = options
        self._task = task
        self._client: Client | None = None
        self._slots: Mapping[str, int] = {}  # jobs at once, by the worker's address
        self._needs_gpu = False
        self._problem = ""  # why there is no connection
        self._avoided: dict[str, float] = {}  # workers, with the monotonic time until which
        self._runs: set[ClusterRun] = set()
        self._numbers = itertools.count()
        self._is_closed = threading.Event()
        self._following = threading.Thread(target=self._follow, daemon=True)

    @property
    def capacity(self) -> int:
        """How many jobs can run at once, now.

        Raises:
            EnvironmentFault: the scheduler cannot be reached.
        """
        self.warm()
        if self._problem:
            raise EnvironmentFault(self._problem)
        return sum(self._usable().values())

    def warm(self) -> None:
        if self._following.ident is None:
            self._following.start()

    def submit(self, job: Job, folder: Path, variant: int | None, upcoming: Path | None) -> ClusterRun:
        run = ClusterRun(self, job, folder, variant)
        client, usable = self._client, self._usable()
        if client is None:
            run.settle(Outcome("lost"))
            return run
        restricted = {"workers": list(usable), "allow_other_workers": False} if len(usable) < len(self._slots) else {}
        if self._needs_gpu:
            restricted["resources"] = {"GPU": 1}
        settings = {"pure": False, "retries": 0, "priority": job.priority, **restricted}
        # A variant that a worker has left may come again; a key may not.
        part = "" if variant is None else f"-{variant}-{next(self._numbers)}"
        # All of one name: for each name the scheduler keeps some kilobytes for ever, be there a task of it or not.
        key = ("stylistic", f"{job.id}-{job.attempts}{part}")
        try:
            run.task = client.submit(self._task, folder, job.attempts, variant, self._options, key=key, **settings)
            client.loop.add_callback(self._wait_for, run, run.task)
        except Exception as error:  # whatever a client says that has just been closed
            log.debug("%s: %r", key, error)
            self._slots = {}  # until the next look
            run.settle(Outcome("lost"))
            return run
        self._runs.add(run)
        run.future.add_done_callback(lambda _: self._runs.discard(run))
        return run

    def avoid(self, address: str, seconds: float) -> None:
        """Give a worker no job for so long."""
        self._avoided[address] = time.monotonic() + seconds

    def close(self) -> None:
        self._is_closed.set()
        self._disconnect("")

    def _usable(self) -> Mapping[str, int]:
        now = time.monotonic()
        self._avoided = {address: until for address, until in self._avoided.items() if until > now}
        return {address: slots for address, slots in self._slots.items() if address not in self._avoided}

    async def _wait_for(self, run: ClusterRun, task: Any) -> None:
        """In the client's own thread."""
        from distributed import CancelledError, KilledWorker

        try:
            outcome, address = await task
        except CancelledError:
            if not run.future.done():  # not by us: the scheduler is gone
                self._slots = {}  # until the next look
                run.settle(Outcome("lost"))
        except KilledWorker:
            run.settle(Outcome("died"))
        except Exception as error:  # it could not so much as be begun
            said = f"a worker of the cluster fails with {type(error).__name__}: {error}"
            run.settle(Outcome("fault", f"{said}. Has every worker the same version of Stylistic?"))
        else:
            if outcome.kind == "lost" and run.has_begun() and run.address != address:
                run.gone_since = run.gone_since or time.monotonic()  # why else would Dask have had it run again?
            else:
                run.settle(self._judged(outcome, address))

    def _judged(self, outcome: Outcome, address: str) -> Outcome:
        """A fault is that of one worker as long as there are others."""
        if outcome.kind != "fault":
            return outcome
        self.avoid(address, FAULTY_SECONDS)
        if self._usable():
            log.warning("%s: %s; its jobs go to others for %g s", address, outcome.reason.rstrip("."), FAULTY_SECONDS)
            return Outcome("lost")
        self._avoided.clear()
        return outcome

    def _follow(self) -> None:
        """Keep the connection, and look who is there."""
        while not self._is_closed.is_set():
            try:
                if self._client is None:
                    self._client, self._problem = self._connect(), ""
                self._look(self._client)
            except Exception as error:  # whatever the network and the cluster answer
                words = str(error).splitlines()[0] if str(error) else type(error).__name__
                self._disconnect(f"the scheduler of the cluster cannot be reached: {words}")
            self._is_closed.wait(POLL_SECONDS)

    def _look(self, client: Client) -> None:
        if client.status != "running":
            raise OSError("the connection is lost")
        begun = [run for run in list(self._runs) if run.has_begun()]  # before it is asked who is there
        # Not `scheduler_info`: it answers with what the client, which asks by itself without the workers, heard last.
        workers = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
        for run in begun:
            run.look_for_worker(workers)
        before, (self._slots, self._needs_gpu) = self._slots, slots(workers)
        if before.keys() != self._slots.keys():
            log.info("the cluster has %d workers, for %d jobs", len(self._slots), sum(self._slots.values()))

    def _disconnect(self, problem: str) -> None:
        """What runs is lost sight of: the jobs go back, and whoever is at them ends when it finds that out."""
        client, self._client, self._problem, self._slots = self._client, None, problem, {}
        for run in list(self._runs):
            run.settle(Outcome("lost"))
        if client is not None:
            with contextlib.suppress(Exception):  # it is gone anyway
                client.close(timeout=2)


def slots(workers: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, int], bool]:
    """How many jobs each worker takes at once, by address, and whether they are counted by the resource GPU.

    Args:
        workers: as the scheduler tells of them; one of them with a GPU is enough for those without to be left alone.
    """
    running = {address: worker for address, worker in workers.items() if worker["status"] == "running"}
    gpus = {address: int(worker["resources"].get("GPU", 0)) for address, worker in running.items()}
    if any(gpus.values()):
        return {address: count for address, count in gpus.items() if count}, True
    return {address: int(worker["nthreads"]) for address, worker in running.items()}, False
