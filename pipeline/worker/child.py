"""A worker process, as its parent holds it: the runner, or a Dask worker whose tasks it paints.

It is started as a command of its own, since Dask's workers are daemons, which may have no children of multiprocessing.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path

from pipeline.jobs.result import Outcome
from pipeline.worker.session import Options

READY = "ready"
LOOK_SECONDS = 1.0  # between looks whether a process is given up
END_SECONDS = 5.0  # for a process to end that has closed its end of the connection
KILL_SECONDS = 1.0  # and for one that is killed
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


@dataclass(frozen=True)
class Order:
    """What a worker is to do.

    Args:
        folder: the job's.
        attempt: its number; with a higher one in the job's record it is not begun.
        variant: of a sweep the number of the one to paint, or that of its sheet; None of any other job.
        upcoming: the folder of the job that comes next as things stand; its images are decoded meanwhile.
        address: of the worker in its cluster.
    """

    folder: Path
    attempt: int
    variant: int | None = None
    upcoming: Path | None = None
    address: str = ""


class Child:
    """A process that loads TensorFlow and the weights, then does one order at a time, and ends with its parent.

    Args:
        options: the runner's.
        environment: of the process, whole.
    """

    def __init__(self, options: Options, environment: Mapping[str, str]) -> None:
        self._connection, theirs = Pipe()
        self._is_ready = self._is_given_up = False
        # Without -P, Python would look for modules in whatever folder the command runs in.
        command = [sys.executable, "-P", "-m", "pipeline.worker", str(theirs.fileno())]
        # A process that hears a signal before it has its handlers would die of it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()]
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        with contextlib.suppress(OSError):  # who is gone already is found out with the first order
            self._connection.send(options)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def send(self, order: Order) -> None:
        """Have it do something; ``answer`` tells how it ended."""
        with contextlib.suppress(OSError):
            self._connection.send(order)

    def answer(self, timeout: float | None = None) -> Outcome | None:
        """How the order ended; None if it has not within so many seconds."""
        try:
            while self._connection.poll(timeout):
                received = self._connection.recv()
                if isinstance(received, Outcome):
                    return received
                self._is_ready = True
        except (EOFError, OSError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
            code = self._process.returncode
            if code is not None and (-code in STOP_SIGNALS or code - 128 in STOP_SIGNALS):
                return Outcome("stopped")
            if self._is_ready or code is None or code < 0:
                return Outcome("died")
            return Outcome("fault", f"the worker process does not start: it ends with {code}")
        # A kill does not end whoever reads from a disk that does not answer.
        return Outcome("died") if self._is_given_up else None

    def wait(self) -> Outcome:
        """How the order ended, once it has."""
        while not (outcome := self.answer(LOOK_SECONDS)):
            pass
        return outcome

    def terminate(self) -> None:
        """Have it leave a checkpoint; it takes no other order."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._is_given_up = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_SECONDS)
