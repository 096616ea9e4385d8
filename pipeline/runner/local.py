"""Jobs run by processes of this machine, each with TensorFlow and a warm extractor of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from pipeline.errors import EnvironmentFault
from pipeline.jobs.record import Job
from pipeline.jobs.result import Outcome
from pipeline.jobs.spool import STOP
from pipeline.runner.executor import Run
from pipeline.worker import process
from pipeline.worker.session import Options


class WorkerProcess:
    """The parent's handle of a worker process: started when it is needed, and again when it has died.

    Args:
        lock: a file that the process holds as long as it lives.
        options: handed to every job.
    """

    def __init__(self, lock: Path, options: Options) -> None:
        self.future: Future[Outcome] | None = None  # of the job that it has, or had last
        self._lock = lock
        self._options = options
        self._pool: ProcessPoolExecutor | None = None
        self._process: BaseProcess | None = None

    def warm(self) -> ProcessPoolExecutor:
        """Have a process that loads TensorFlow and the weights."""
        if self._pool is None:
            others = set(multiprocessing.active_children())
            # A process that hears a signal before it has its handlers would die of it.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            try:
                arguments = (self._lock, self._options.log_format)
                context = multiprocessing.get_context("spawn")
                pool = ProcessPoolExecutor(1, context, initializer=process.start, initargs=arguments)
                pool.submit(process.warm_up, self._options)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._pool = pool
            self._process = next(iter(set(multiprocessing.active_children()) - others), None)
        return self._pool

    def submit(self, job: Job, attempt: Path, upcoming: Path | None) -> Run:
        """Run a job; errors of the future as for ``Run``."""

        def send() -> Future[Outcome]:
            return self.warm().submit(process.run_job, job, attempt, self._options, upcoming)

        try:
            self.future = send()
        except BrokenExecutor:  # the process has died while it had nothing to do
            self.kill()
            try:
                self.future = send()
            except BrokenExecutor as error:
                raise EnvironmentFault(f"the worker process does not start: {error}") from error
        return _LocalRun(self.future, attempt, self)

    def terminate(self) -> None:
        """Have the process leave a checkpoint of its job; it takes no other."""
        if self._process is not None:
            self._process.terminate()

    def kill(self, wait: bool = False) -> None:
        """End the process at once; the next job has another.

        Args:
            wait: until it is gone. Else its pool may still be at it when Python ends, which tells of a broken pipe.
        """
        if self._process is not None:
            self._process.kill()
        if self._pool is not None:
            self._pool.shutdown(wait, cancel_futures=True)
        self._pool = self._process = None


@dataclass(frozen=True)
class _LocalRun:
    future: Future[Outcome]
    attempt: Path
    worker: WorkerProcess

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # the signal says the same
            (self.attempt / STOP).touch()
        self.worker.terminate()

    def kill(self) -> None:
        if self.worker.future is self.future:  # else it is at another job
            self.worker.kill()


class LocalExecutor:
    """One worker process on this machine.

    Args:
        jobs: the jobs folder, where the process keeps its lock.
        options: handed to every job.
    """

    def __init__(self, jobs: Path, options: Options) -> None:
        self._workers = [WorkerProcess(jobs / ".worker.lock", options)]

    @property
    def capacity(self) -> int:
        return len(self._workers)

    def warm(self) -> None:
        for worker in self._workers:
            worker.warm()

    def submit(self, job: Job, attempt: Path, upcoming: Path | None) -> Run:
        idle = next(worker for worker in self._workers if worker.future is None or worker.future.done())
        return idle.submit(job, attempt, upcoming)

    def close(self) -> None:
        for worker in self._workers:
            worker.kill(wait=True)
