"""Jobs run by processes of this machine, each with TensorFlow and a warm extractor of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline import storage
from pipeline.jobs.record import Job
from pipeline.jobs.result import Outcome
from pipeline.jobs.spool import STOP
from pipeline.runner.executor import Run
from pipeline.worker.child import Child, Order
from pipeline.worker.session import Options


class LocalWorker:
    """A worker process of this machine: started when it is needed, and again when it has died.

    Args:
        options: handed to every job.
        environment: of the process, on top of this one's.
    """

    def __init__(self, options: Options, environment: Mapping[str, str]) -> None:
        self.future: Future[Outcome] | None = None  # of the job that it has, or had last
        self._options = options
        self._environment = environment
        self._waiting = ThreadPoolExecutor(1)
        self._child: Child | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it has no job."""
        return self.future is None or self.future.done()

    def warm(self) -> Child:
        """Have a process that loads TensorFlow and the weights."""
        if self._child is None or not self._child.is_alive:
            self._child = Child(self._options, {**os.environ, **self._environment})
        return self._child

    def submit(self, order: Order) -> Run:
        """Run a job."""
        child = self.warm()
        child.send(order)
        self.future = self._waiting.submit(child.wait)
        return _LocalRun(self.future, order.folder, self)

    def terminate(self) -> None:
        """Have the process leave a checkpoint of its job; it takes no other."""
        if self._child is not None:
            self._child.terminate()

    def kill(self) -> None:
        """End the process at once; the next job has another."""
        if self._child is not None:
            self._child.kill()
        self._child = None


@dataclass(frozen=True)
class _LocalRun:
    future: Future[Outcome]
    folder: Path
    worker: LocalWorker

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # the signal says the same
            storage.mark(self.folder / STOP)
        self.worker.terminate()

    def kill(self) -> None:
        if self.worker.future is self.future:  # else it is at another job
            self.worker.kill()


class LocalExecutor:
    """Worker processes on this machine.

    Args:
        options: handed to every job.
        environments: one for each process, on top of this one's.
    """

    def __init__(self, options: Options, environments: Sequence[Mapping[str, str]] = ({},)) -> None:
        self._workers = [LocalWorker(options, environment) for environment in environments]

    @property
    def capacity(self) -> int:
        return len(self._workers)

    def warm(self) -> None:
        for worker in self._workers:
            worker.warm()

    def submit(self, job: Job, folder: Path, variant: int | None, upcoming: Path | None) -> Run:
        idle = next(worker for worker in self._workers if worker.is_idle)
        return idle.submit(Order(folder, job.attempts, variant, upcoming))

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
