"""A page of plain text about the jobs folder, for a person who wonders how the night went."""

from __future__ import annotations

import heapq
import os
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import EnvironmentFault
from pipeline.jobs import attempt, lock, log, losses
from pipeline.jobs.record import Job, RecordError
from pipeline.jobs.spool import Spool

SHOWN = 5


def describe(jobs: Path, outbox: Path) -> str:
    """The runner, the running job and its step, the queue, the last results, the failures.

    Raises:
        EnvironmentFault: there is no jobs folder.
    """
    if not jobs.is_dir():
        raise EnvironmentFault(f"{jobs}: no jobs folder here.", "Name it with --jobs.")
    spool = Spool(jobs)
    lines = [_runner(jobs), *map(_running, _newest(spool.running))]
    lines.append(f"queued: {_count(spool.queued)}")
    if aside := _count(spool.aside):
        lines.append(f"set aside, as they are no jobs: {aside}")
        lines += [f"  {path}" for path in _newest(spool.aside)]
    for title, folder in (("done", spool.done), ("failed", spool.failed)):
        lines.append(f"{title}: {_count(folder)}")
        for path in _newest(folder):
            job_id = path.name.removesuffix(".json")
            published = log.read(outbox, job_id)
            about = f": {published.error.splitlines()[0]}" if published and published.error else ""
            lines.append(f"  {job_id}{about}")
    return "\n".join(lines)


def _runner(jobs: Path) -> str:
    holder = lock.holder(jobs)
    if holder is None:
        return "no runner is alive"
    if not holder.is_alive():
        return f"no runner is alive; process {holder.pid} on {holder.host} ended without a word"
    return f"a runner is alive: process {holder.pid} on {holder.host}, since {holder.since}"


def _running(folder: Path) -> str:
    try:
        job = Job.load(folder)
    except (OSError, RecordError):
        return f"running: {folder.name}"
    own = attempt.place(folder, job.attempts)
    where = _worker(attempt.worker(own))
    seen = losses.Tail(own).read()
    if not seen:
        return f"running: {job.id}: starting{where}"
    latest = seen[-1]
    return f"running: {job.id}: step {latest.step} of {job.steps}, {latest.scale} px, loss {latest.total:.3g}{where}"


def _worker(found: attempt.Worker | None) -> str:
    """Which worker has a job, and for how long."""
    if found is None:
        return ""
    minutes = (datetime.now(UTC) - datetime.fromisoformat(found.since)).total_seconds() / 60
    return f"; process {found.pid} on {found.host}, for {minutes:.0f} min"


def _count(folder: Path) -> int:
    try:
        return sum(not name.startswith(".") for name in os.listdir(folder))
    except FileNotFoundError:
        return 0


def _newest(folder: Path) -> list[Path]:
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    return heapq.nlargest(SHOWN, paths, key=lambda path: path.stat().st_mtime if path.exists() else 0.0)
