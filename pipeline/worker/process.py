"""The worker process: how it starts, stops with its runner, and turns whatever happens to a job into an outcome."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from filelock import FileLock

from pipeline import console
from pipeline.errors import EnvironmentFault, JobError
from pipeline.jobs import result
from pipeline.jobs.record import Job
from pipeline.jobs.result import Failed, Outcome
from pipeline.jobs.spool import STOP
from pipeline.worker import pacing, sweep
from pipeline.worker.inputs import InputLoader
from pipeline.worker.paint import paint
from pipeline.worker.session import Options, describe, open_session

log = logging.getLogger(__name__)

_terminated = threading.Event()  # by SIGTERM: checkpoint, end the job, and with it the process's use
_busy = threading.Event()
_lock: FileLock | None = None
_inputs = InputLoader()


def start(lock: Path, log_format: str) -> None:
    """Set up a fresh worker process: stop with the runner, on its word, and never beside another worker.

    Args:
        lock: held as long as the process lives; a worker whose runner was killed may live on for a moment.
        log_format: ``text`` or ``json``, for what it says.
    """
    global _lock
    # The terminal sends Ctrl-C to everybody; the runner passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminate)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _lock = FileLock(lock)
    _lock.acquire()
    console.set_up(log_format, is_worker=True)


def warm_up(options: Options) -> None:
    """Load TensorFlow and the weights ahead of the first job."""
    with contextlib.suppress(EnvironmentFault, OSError):  # the first job will say so
        begun = time.perf_counter()
        session = open_session(options, "auto")
        pacing.note_start(options, session, time.perf_counter() - begun)
        log.info("painting on %s", describe(options, session))


def run_job(job: Job, attempt: Path, options: Options, upcoming: Path | None = None) -> Outcome:
    """Run a job (or go on with it), and leave how it ended in its folder. Never raises.

    Args:
        job: its record.
        attempt: the job's folder, under ``running/``, which this attempt writes into.
        options: the runner's.
        upcoming: the folder of the job that comes next as things stand; its images are decoded meanwhile.
    """
    _busy.set()

    def should_stop() -> bool:
        return _terminated.is_set() or (attempt / STOP).exists()

    try:
        run = sweep.paint_all if job.manifest and job.manifest.sweep else paint
        if not run(job, attempt, options, _inputs, should_stop, upcoming):
            return Outcome("stopped")
    except JobError as error:
        return _failed(attempt, str(error))
    except EnvironmentFault as error:
        return Outcome("fault", str(error))
    except ImportError as error:
        return Outcome("fault", f"the installation is broken: {error}")
    except OSError as error:
        return Outcome("fault", f"{error.strerror or error} ({error.filename or attempt})")
    except Exception as error:
        if _is_out_of_memory(error):
            return _failed(attempt, "the device ran out of memory at this size. Half the image_size takes a quarter.")
        with contextlib.suppress(OSError):
            (attempt / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return _failed(attempt, f"internal error: {error!r}; details are in the job's traceback.txt. Please report it.")
    finally:
        _busy.clear()
    return Outcome("through")


def _failed(attempt: Path, reason: str) -> Outcome:
    try:
        result.leave(attempt, Failed(reason=reason))
    except OSError as error:
        return Outcome("fault", f"{error.strerror or error} ({error.filename or attempt})")
    return Outcome("through")


def _is_out_of_memory(error: Exception) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    exhausted = tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)
    return exhausted or isinstance(error, MemoryError)


def _terminate(*_: Any) -> None:
    _terminated.set()
    if not _busy.is_set():
        os._exit(0)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
