"""The worker process behind an executor."""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

from pipeline import worker
from pipeline.worker import Options, Outcome


class Worker:
    """The worker process behind an executor: started when it is needed, and again when it has died.

    Args:
        lock: a file that the process holds as long as it lives.
        options: handed to every job.
    """

    def __init__(self, lock: Path, options: Options) -> None:
        self._lock = lock
        self._options = options
        self._executor: Executor | None = None

    def warm(self) -> Executor:
        """Have a process that loads TensorFlow and the weights ahead of the first job."""
        if self._executor is None:
            # A process that hears a signal before it has its handlers would die of it.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            try:
                context = multiprocessing.get_context("spawn")
                executor = ProcessPoolExecutor(1, context, initializer=worker.start, initargs=(self._lock,))
                executor.submit(worker.warm_up, self._options)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._executor = executor
        return self._executor

    def submit(self, folder: Path, upcoming: Path | None) -> Future[Outcome]:
        """Run the job in ``folder`` (see ``worker.run_job``); the future raises if the process dies of it."""
        try:
            return self.warm().submit(worker.run_job, folder, self._options, upcoming)
        except BrokenExecutor:  # the process has died while it had nothing to do
            self.discard()
            return self.warm().submit(worker.run_job, folder, self._options, upcoming)

    def send(self, signum: signal.Signals) -> None:
        """Signal the process: SIGTERM to checkpoint and stop, SIGKILL to die."""
        for process in multiprocessing.active_children():
            if process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signum)

    def discard(self) -> None:
        """Let go of the process; it must not be at work any more."""
        if self._executor is not None:
            self.send(signal.SIGKILL)
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
