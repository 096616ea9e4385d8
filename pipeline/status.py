"""A page of plain text about the jobs folder, for a person who wonders how the night went."""

from __future__ import annotations

import heapq
import os
from pathlib import Path

from pipeline import report, storage
from pipeline.errors import EnvironmentFault
from pipeline.job import Job
from pipeline.progress import LossTail

SHOWN = 5


def describe(jobs: Path, outbox: Path) -> str:
    """The runner, the running job and its step, the queue, the last results, the failures.

    Raises:
        EnvironmentFault: there is no jobs folder.
    """
    if not jobs.is_dir():
        raise EnvironmentFault(f"{jobs}: no jobs folder here.", "Name it with --jobs.")
    lines = [_runner(jobs)]
    for folder in _newest(jobs / "running"):
        lines.append(_running(folder))
    queued = _count(jobs / "queued")
    lines.append(f"queued: {queued}")
    for title, folder in (("done", jobs / "done"), ("failed", jobs / "failed")):
        lines.append(f"{title}: {_count(folder)}")
        for path in _newest(folder):
            job_id = path.name.removesuffix(".json")
            log = report.read_log(outbox, job_id)
            about = f": {log['error'].splitlines()[0]}" if log and log["error"] else ""
            lines.append(f"  {job_id}{about}")
    return "\n".join(lines)


def _runner(jobs: Path) -> str:
    holder = storage.lock_holder(jobs)
    if holder is None:
        return "no runner is alive"
    if not storage.is_alive(holder):
        return f"no runner is alive; process {holder['pid']} on {holder['host']} ended without a word"
    return f"a runner is alive: process {holder['pid']} on {holder['host']}, since {holder['since']}"


def _running(folder: Path) -> str:
    try:
        job = Job.load(folder)
    except FileNotFoundError:
        return f"running: {folder.name}"
    losses = LossTail(folder).read()
    if not losses:
        return f"running: {job.id}: starting"
    latest = losses[-1]
    return f"running: {job.id}: step {latest['step']} of {job.steps}, {latest['scale']} px, loss {latest['total']:.3g}"


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
