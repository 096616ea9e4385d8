"""The worker process: how it starts, ends with its parent, and turns whatever happens to a job into an outcome."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipeline import console, storage
from pipeline.errors import EnvironmentFault, JobError, shown
from pipeline.jobs import attempt, parts, result, variants
from pipeline.jobs.attempt import Fence
from pipeline.jobs.record import Job
from pipeline.jobs.result import Failed, Outcome
from pipeline.jobs.spool import STOP
from pipeline.worker import scenes, sweep
from pipeline.worker.child import READY, STOP_SIGNALS, Order
from pipeline.worker.inputs import InputLoader
from pipeline.worker.paint import paint
from pipeline.worker.session import Options, describe, is_out_of_memory, open_session

log = logging.getLogger(__name__)

TOGETHER_SECONDS = 0.5  # in which a signal for all processes comes to each
LEAVE_SECONDS = 5.0  # for a job to leave a checkpoint when nobody waits for it any more
TOLD_TO_END = 128 + signal.SIGTERM  # as a shell calls it

# Stop signals that came: checkpoint, end the job, and with it the process's use. No event, as one signal may interrupt
# another's handler, and an event's lock is held once.
_terminated: list[int] = []
_busy = threading.Event()
_inputs = InputLoader()


def serve(descriptor: int) -> None:
    """Do what the parent orders over a connection, until it is gone.

    Args:
        descriptor: of this end of the connection, over which the options come first.
    """
    # The terminal sends Ctrl-C to everybody; the runner passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, _terminate)
    signalled, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    connection = Connection(descriptor)
    try:
        options: Options = connection.recv()
    except (EOFError, OSError):
        sys.exit(1)
    console.set_up(options.log_format, is_worker=True)
    # Keras, which comes with TensorFlow, would load it for plots that nobody asks for: a twelfth of a start.
    sys.modules["matplotlib.pyplot"] = None  # type: ignore[assignment]
    connection.send(READY)
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(connection, orders.put, signalled), daemon=True).start()
    warm_up(options)
    while True:
        try:
            order = orders.get(timeout=options.idle_seconds)
        except queue.Empty:
            log.info("nothing to do for %g min: memory and device are let go", (options.idle_seconds or 0) / 60)
            connection.send(Outcome("lost"))  # of an order that is on its way
            os._exit(0)
        outcome = do(order, options)
        with contextlib.suppress(OSError):  # the parent may be gone
            connection.send(outcome)
        if _terminated:
            os._exit(TOLD_TO_END)


def _hear(connection: Connection, take: Callable[[Order], None], signalled: int) -> None:
    """Take orders, and end the process with its parent, whatever it is at.

    Where a stop signal has ended the parent, it comes here, too: then a checkpoint is left first. Of a signal
    ``signalled`` tells at once, its handler perhaps after a long operation.
    """
    try:
        while True:
            take(connection.recv())
    except (EOFError, OSError):
        if _busy.is_set() and select.select([signalled], [], [], TOGETHER_SECONDS)[0]:
            time.sleep(LEAVE_SECONDS)  # within which the job has ended, and the process with it
        os._exit(1)


def warm_up(options: Options) -> None:
    """Load TensorFlow and the weights ahead of the first job."""
    with contextlib.suppress(Exception):  # the first job will say so
        log.info("painting on %s", describe(options, open_session(options, "auto")))


def do(order: Order, options: Options) -> Outcome:
    """Begin an attempt at a job, going on where the last one came to, and leave there how it ended. Never raises."""
    _busy.set()
    try:
        job = Job.load(order.folder)
        if job.attempts > order.attempt:
            return Outcome("lost")
        own = attempt.begin(order.folder, order.attempt, attempt.Worker(address=order.address), order.variant)
        if order.variant is not None and job.kind == "photo":
            if order.variant == variants.SHEET:
                return _guarded(own, job, lambda: sweep.leave_result(own, job))
            job = variants.records(job)[order.variant - 1]
        return _attempt(job, own, order, options)
    except FileExistsError:  # a cluster runs a task again when it has lost sight of the worker that had it
        return Outcome("lost")
    except JobError as error:
        return Outcome("fault", str(error))
    except OSError as error:
        return Outcome("fault", f"{error.strerror or error} ({error.filename or order.folder})")
    finally:
        _busy.clear()


def _attempt(job: Job, own: Path, order: Order, options: Options) -> Outcome:
    fence = Fence(order.folder, order.attempt)

    def should_stop() -> bool:
        return bool(_terminated) or not fence.holds() or storage.is_there(order.folder / STOP)

    def work() -> bool:
        attempt_folder = attempt.place(order.folder, order.attempt)
        part = None
        if order.variant is not None and job.kind != "photo":
            if order.variant == variants.SCOUT:
                return scenes.look(job, order.folder, attempt_folder, options.max_pixels, should_stop)
            if order.variant == variants.SHEET:
                return scenes.join(job, order.folder, own, options, _inputs, should_stop)
            part = parts.read(attempt_folder)[order.variant - 1]
        return paint(job, order.folder, own, options, _inputs, should_stop, order.upcoming, part)

    outcome = _guarded(own, job, work)
    if outcome.kind == "stopped":
        attempt.leave(own)
        return Outcome("stopped" if fence.holds() else "lost")
    return outcome


def _guarded(own: Path, job: Job, work: Callable[[], bool | None]) -> Outcome:
    """What comes of work that leaves a result, or gives False if it was told to stop."""
    try:
        return Outcome("stopped" if work() is False else "through")
    except JobError as error:
        return _failed(own, str(error))
    except EnvironmentFault as error:
        return Outcome("fault", str(error))
    except ImportError as error:
        return Outcome("fault", f"the installation is broken: {error}")
    except Exception as error:
        # Without a number it is no system's answer: Pillow and others raise an OSError of a file that they cannot use.
        if isinstance(error, OSError) and error.errno is not None:
            if storage.is_refusal(error, own):
                entry = Path(str(error.filename)).name
                return _failed(own, f"{entry} of its attempt is none of ours: {error.strerror}.")
            return Outcome("fault", f"{error.strerror} ({error.filename or own})")
        if is_out_of_memory(error):
            return _failed(own, "the device ran out of memory at this size. Half the image_size takes a quarter.")
        log.exception("%s: internal error", job.name)  # of a sweep that has other pictures nothing else is kept
        with contextlib.suppress(OSError):
            storage.write_atomic(own / "traceback.txt", traceback.format_exc().encode("utf-8", "replace"))
        told = "details are in the log and in the job's traceback.txt. Please report it."
        return _failed(own, f"internal error: {shown(error)}; {told}")


def _failed(own: Path, reason: str) -> Outcome:
    try:
        result.leave(own, Failed(reason=reason))
    except OSError as error:
        if not storage.is_refusal(error, own):
            return Outcome("fault", f"{error.strerror or error} ({error.filename or own})")
    return Outcome("through")  # where no report can be left, the runner tells that there is none


def _terminate(number: int, _: Any) -> None:
    _terminated.append(number)
    if not _busy.is_set():
        os._exit(TOLD_TO_END)
