"""An attempt at a job, as a thread of a Dask worker sees it: a process beside the worker paints, the thread waits."""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
import time
from pathlib import Path

from pipeline import storage
from pipeline.forecast.paces import cache_file
from pipeline.jobs.attempt import LOOK_SECONDS, Fence
from pipeline.jobs.result import Outcome
from pipeline.jobs.spool import STOP
from pipeline.worker import share
from pipeline.worker.child import Child, Order
from pipeline.worker.session import Options

GRACE_SECONDS = 10.0  # for a process whose attempt does not count any more

_lock = threading.Lock()
_idle: list[tuple[Options, Child]] = []  # warm


def run(folder: Path, number: int, variant: int | None, options: Options) -> tuple[Outcome, str]:
    """Begin an attempt, and wait for its end; with the worker's address.

    Args:
        folder: the job's, on a file system that the runner sees, too.
        number: of the attempt.
        variant: of a sweep the number of the one to paint, or that of its sheet; None of any other job.
        options: the runner's.
    """
    from distributed import Status, get_worker

    here = get_worker()
    folder = storage.real(folder.parent.parent) / folder.parent.name / folder.name  # as this host has it mounted
    if not storage.is_folder(folder):
        reason = f"{socket.gethostname()} cannot see {folder}. Mount the jobs folder there at the same path."
        return Outcome("fault", reason), here.address
    limit = here.memory_manager.memory_limit
    processes = here.state.nthreads
    limit = limit and limit // processes
    options = dataclasses.replace(options, memory_limit=limit, paces=cache_file(), processes_a_card=processes)
    child = _warm(options, processes)
    child.send(Order(folder, number, variant, address=here.address))
    fence, lost_since = Fence(folder, number), 0.0

    def is_leaving() -> bool:
        return here.status not in (Status.running, Status.paused)

    while not (outcome := child.answer(LOOK_SECONDS)):
        if is_leaving():  # it is retired: with a checkpoint
            child.terminate()
        if not fence.holds():
            lost_since = lost_since or time.monotonic()
            if time.monotonic() - lost_since > GRACE_SECONDS:
                child.kill()
    # By a signal, that Dask's worker may be about to hear, too: nobody has died then.
    if outcome.kind == "stopped" and not storage.is_there(folder / STOP):
        begun = time.monotonic()
        while not is_leaving() and time.monotonic() - begun < GRACE_SECONDS / 2:
            time.sleep(0.1)
        return Outcome("lost") if is_leaving() else outcome, str(here.address)
    if child.is_alive:
        with _lock:
            _idle.append((options, child))
    return outcome, str(here.address)


def _warm(options: Options, processes: int) -> Child:
    """A process of this worker that is idle, or a new one."""
    with _lock:
        while _idle:
            known, child = _idle.pop()
            if known == options and child.is_alive:
                return child
            child.kill()  # another runner's
    # The nanny has malloc give memory back at once, which suits small objects; a step would ask for gigabytes anew.
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_TRIM_THRESHOLD_"}
    return Child(options, environment | share.of_cores(processes))
