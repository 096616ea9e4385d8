"""What goes on at a jobs folder, read from it as it is: the one source of `status`, of its JSON and of the page."""

from __future__ import annotations

import contextlib
import heapq
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from pipeline import storage
from pipeline.errors import EnvironmentFault
from pipeline.forecast.paces import Paces
from pipeline.forecast.work import paintings_left
from pipeline.jobs import attempt, lock, log, losses, pause, previews, report
from pipeline.jobs.pause import Pause
from pipeline.jobs.record import Job, RecordError, is_job_id, name_in, now
from pipeline.jobs.report import Report, Waits
from pipeline.jobs.spool import Spool
from pipeline.manifest.fields import Model

RECENT = 5
QUEUED = 20  # of the queue, that are told one by one
YESTERDAY = timedelta(days=1)
LOADING_SECONDS = 1.0  # if its worker comes to a job later than that, it is a new process


class Runner(Model):
    """The runner of the jobs folder, or the last one.

    ``ended``: in order. ``died``: without a word. ``none``: there never was one.
    """

    state: Literal["alive", "ended", "died", "none"]
    pid: int | None = None
    host: str | None = None
    since: str | None = None
    ended_at: str | None = None
    done: int | None = None  # by it, once it has ended
    failed: int | None = None


class Running(Model):
    """A job that runs, and how far it is."""

    id: str
    name: str
    content: str | None = None
    styles: list[str] = Field(default_factory=list)
    started_at: str | None = None
    stage: Literal["starting", "preparing", "painting"] = "starting"
    step: int = 0
    steps: int = 0
    frame: int | None = None  # of a clip, that it is at
    frames: int | None = None
    scale: int | None = None  # long side in pixels of what is worked on
    loss: float | None = None
    seconds_left: float | None = None  # where it can be told
    worker: str | None = None  # host and process; of a sweep maybe several
    device: str | None = None
    precision: str | None = None
    preview: str | None = None  # a WebP file of the picture as it was some seconds ago

    @property
    def at_once(self) -> int:
        """How many of its pictures are painted at a time."""
        return len(self.worker.split(", ")) if self.worker else 1


class Queued(Model):
    """A job that waits for its turn."""

    id: str
    name: str
    content: str | None = None
    styles: list[str] = Field(default_factory=list)
    steps: int = 0
    seconds_left: float | None = None  # that it will take, where it can be told
    memory_bytes: int | None = None  # likewise, where it is much


class Queue(Model):
    """The jobs that wait for their turn; the first are told one by one."""

    count: int
    seconds_left: float | None = None  # until it is empty, where it can be told
    jobs: list[Queued]


class Ended(Model):
    """A job, or a drop that never became one, that has come to its end."""

    id: str
    name: str
    status: str | None = None  # done, failed or cancelled; none where its result has been moved away
    finished_at: str | None = None
    error: str | None = None


class Overview(Model):
    """All of it. Times are UTC in ISO 8601."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    schema_: Annotated[Literal["stylistic.status/1"], Field(alias="schema")] = "stylistic.status/1"
    at: str
    runner: Runner
    inbox: str | None = None  # of the last runner
    paused: Pause | None = None  # by whom, and since when: nothing is started meanwhile
    running: list[Running]
    queue: Queue
    waiting: list[Waits]  # drops, and for what, as the runner saw them last
    more_waiting: int
    unknown: list[str]  # what in the inbox is not understood: a sentence each, with the remedy
    repeated: list[str]  # photos in style folders that are painted already: a sentence each
    dropped: int | None = None  # in the inbox with no runner to see to it; none where there is one
    faults: list[str]  # of the machine
    aside: list[str]  # what lay among the jobs and is none
    done: int
    failed: int
    failed_since_yesterday: int
    recent: list[Ended]  # the newest few of each kind, the newest first

    @property
    def is_left_alone(self) -> bool:
        """Whether work waits and no runner lives."""
        work = self.running or self.queue.count or self.dropped
        return self.runner.state != "alive" and bool(work)


def look(spool: Spool, outbox: Path, paces: Paces, with_ended: bool = True) -> Overview:
    """What goes on now.

    Args:
        spool: of the jobs folder; one that knows the queue already need not read it.
        outbox: where results are.
        paces: what is known of this machine.
        with_ended: whether the logs of jobs that have ended are read, for ``recent`` and ``failed_since_yesterday``.

    Raises:
        EnvironmentFault: there is no jobs folder.
    """
    jobs = spool.folder
    if not storage.is_folder(jobs):
        raise EnvironmentFault(f"{jobs}: no jobs folder here.", "Name it with --jobs.")
    said = report.read(jobs)
    running, queue = at_work(spool, paces)
    places = (spool.done, spool.failed) if with_ended else ()
    newest = [path for place in places for path in heapq.nlargest(RECENT, _entries(place), key=_time)]
    recent = [_ended(outbox, path) for path in newest]
    yesterday = datetime.now(UTC) - YESTERDAY
    return Overview(
        at=now(),
        runner=_runner(jobs, said),
        inbox=said and said.inbox,
        paused=pause.read(jobs),
        running=running,
        queue=queue,
        waiting=said.waiting if said else [],
        more_waiting=said.more_waiting if said else 0,
        unknown=said.unknown if said else [],
        repeated=said.repeated if said else [],
        faults=said.faults if said else [],
        aside=[str(path) for path in _entries(spool.aside)],
        done=len(_names(spool.done)),
        failed=len(_names(spool.failed)),
        failed_since_yesterday=_failed_since(spool.failed, outbox, yesterday) if with_ended else 0,
        recent=sorted(recent, key=lambda ended: ended.finished_at or "", reverse=True),
    )


def at_work(spool: Spool, paces: Paces) -> tuple[list[Running], Queue]:
    """The jobs that run, and the queue; arguments are as for ``look``."""
    running = [_running(spool.running / name, paces) for name in sorted(_names(spool.running)) if is_job_id(name)]
    queued = spool.in_order()
    first = [_queued(spool.queued / job_id, paces) for job_id in queued[:QUEUED]]
    return running, _queue(first, len(queued), running)


def _runner(jobs: Path, said: Report | None) -> Runner:
    holder = lock.holder(jobs)
    if holder and not (said and said.ended_at and said.pid == holder.pid):
        state: Literal["alive", "died"] = "alive" if holder.is_alive(lock.lease_seconds(jobs)) else "died"
        return Runner(state=state, pid=holder.pid, host=holder.host, since=holder.since)
    if said is None:
        return Runner(state="none")
    state_of_last: Literal["ended", "died"] = "ended" if said.ended_at else "died"
    fields = {"since": said.since, "ended_at": said.ended_at, "done": said.done, "failed": said.failed}
    return Runner(state=state_of_last, pid=said.pid, **fields)


def _running(folder: Path, paces: Paces) -> Running:
    try:
        job = Job.load(folder)
    except (OSError, RecordError):
        return Running(id=folder.name, name=name_in(folder.name))
    own = attempt.place(folder, job.attempts)
    found = Running(id=job.id, started_at=job.started_at, steps=job.steps, **_asked(job))
    if job.frames > 1:
        found = found.model_copy(update={"frame": 0, "frames": job.frames})
    at_it = attempt.workers(own)
    if at_it:
        found = found.model_copy(update={"worker": ", ".join(f"{by.host}:{by.pid}" for by in at_it)})
    if on := previews.painter(own):
        found = found.model_copy(update={"device": on.device, "precision": on.precision, "stage": "preparing"})
    seen = losses.recent(own) or attempt.earlier_losses(folder, job.attempts)  # which it goes on from
    left = paces.left(job, seen, max(1, len(at_it)), losses.since_newest(own))
    if left and losses.reached(seen) == losses.reached(attempt.earlier_losses(folder, job.attempts)):
        left += _start_left(job, at_it, paces)
    found = found.model_copy(update={"seconds_left": left})
    if seen:
        done = sum(losses.reached(seen).values())
        at = {"step": done, "scale": seen[-1].scale, "loss": seen[-1].total}
        if found.frames and job.manifest:
            frame = losses.frame_reached(seen)
            # Scenes begin with more steps than were counted.
            steps = max(job.steps, done + (found.frames - frame) * job.manifest.parameters.frame_steps)
            at |= {"frame": frame, "steps": steps}
        found = found.model_copy(update={**at, "stage": "painting" if found.device else "starting"})
    shown = previews.newest(own, previews.LIVE)
    return found.model_copy(update={"preview": shown and str(shown)})


def _start_left(job: Job, at_it: Sequence[attempt.Worker], paces: Paces) -> float:
    """Seconds that a process takes yet before its first step; none of one that was at work before this job."""
    device = paces.device
    if device is None or job.started_at is None:
        return 0.0
    elapsed = _since(job.started_at)
    if at_it and elapsed - _since(at_it[0].since) < LOADING_SECONDS:
        return 0.0
    return max(0.0, device.start_seconds - elapsed)


def _since(moment: str) -> float:
    """Seconds since then; 0 where a damaged file tells no time."""
    with contextlib.suppress(ValueError, TypeError):
        return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return 0.0


def _queue(jobs: list[Queued], count: int, running: list[Running]) -> Queue:
    """The queue, of which the first have been looked at; the others are taken to be like them."""
    lefts = [one.seconds_left for one in running] + [one.seconds_left for one in jobs]
    known = [left for left in lefts if left is not None]
    seconds = None
    if count and len(known) == len(lefts):
        of_queue = sum(known[len(running) :]) * count / len(jobs)
        of_running = sum(left * one.at_once for left, one in zip(known, running, strict=False))
        seconds = (of_running + of_queue) / max(1, sum(one.at_once for one in running))
    return Queue(count=count, seconds_left=seconds, jobs=jobs)


def _queued(folder: Path, paces: Paces) -> Queued:
    try:
        job = Job.load(folder)
    except (OSError, RecordError):
        return Queued(id=folder.name, name=name_in(folder.name))
    work = paintings_left(job, attempt.earlier_losses(folder, job.attempts + 1))
    estimate = paces.estimate(work, is_warm=True)
    takes = {"seconds_left": estimate and estimate.seconds, "memory_bytes": paces.much_memory(work)}
    return Queued(id=job.id, steps=job.steps, **takes, **_asked(job))


def _asked(job: Job) -> dict[str, object]:
    manifest = job.manifest
    styles = [style.image for style in manifest.style] if manifest else []
    return {"name": job.name, "content": manifest and manifest.content, "styles": styles}


def _ended(outbox: Path, path: Path) -> Ended:
    job_id = path.name.removesuffix(".json")
    published = log.read(outbox, job_id)
    if published is None:
        return Ended(id=job_id, name=name_in(job_id))
    status = "cancelled" if published.is_cancelled else published.status
    finished_at, error = published.job.finished_at, published.error
    return Ended(id=job_id, name=name_in(job_id), status=status, finished_at=finished_at, error=error)


def _failed_since(failed: Path, outbox: Path, moment: datetime) -> int:
    """How many of the failures are of after a moment. Only what was touched since is looked into."""
    recent = [_ended(outbox, path) for path in _entries(failed) if _time(path) >= moment.timestamp()]
    return sum(
        one.status in ("failed", None)
        and (one.finished_at is None or datetime.fromisoformat(one.finished_at) >= moment)
        for one in recent
    )


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in storage.names(folder) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def _entries(*folders: Path) -> list[Path]:
    return [folder / name for folder in folders for name in sorted(_names(folder))]


def _time(path: Path) -> float:
    """When an entry came to its folder: a rename changes a folder's status, not its contents."""
    status = storage.glance(path)
    return status.st_ctime if status else time.time()
