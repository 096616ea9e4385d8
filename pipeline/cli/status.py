"""`status`: what goes on, for a person, for a program, and in an exit code for whatever keeps watch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import FOLDER, ignore_option, jobs_option, option, outbox_option
from pipeline.console import printable

if TYPE_CHECKING:
    from pipeline.jobs.spool import Spool
    from pipeline.outbox.overview import Ended, Overview, Runner, Running

FAILURES, LEFT_ALONE = 1, 3


@click.command()
@option(
    "--inbox", type=FOLDER, default=None, help="Where manifests and images are dropped; default: the last runner's."
)
@ignore_option
@jobs_option
@outbox_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as docs/status.md has it.")
def status(inbox: Path | None, ignore: tuple[str, ...], jobs: Path, outbox: Path, as_json: bool) -> None:
    """What runs, what waits and for what, and how jobs ended.

    Exit codes: 0 all well; 1 something has failed since yesterday; 3 work waits and no runner is alive.

    \b
    Examples:
      stylistic status --jobs /srv/pictures/jobs --outbox /srv/pictures/outbox
      stylistic status --json || mail -s stylistic me@example.org
    """
    from pipeline.forecast.paces import Paces, cache_file
    from pipeline.jobs.spool import Spool
    from pipeline.outbox.overview import look

    spool = Spool(jobs)
    found = look(spool, outbox, Paces(cache_file()))
    if found.runner.state != "alive":
        found = found.model_copy(update={"dropped": _dropped(inbox or Path(found.inbox or "inbox"), spool, ignore)})
    if as_json:
        click.echo(json.dumps(found.model_dump(mode="json"), indent=1))
    else:
        click.echo(printable("\n".join(_lines(found))))
    sys.exit(LEFT_ALONE if found.is_left_alone else FAILURES if found.failed_since_yesterday else 0)


def _dropped(inbox: Path, spool: Spool, ignore: tuple[str, ...]) -> int | None:
    """How much lies in an inbox that nobody sees to; None if that cannot be told."""
    from pipeline import storage
    from pipeline.inbox.backlog import count
    from pipeline.inbox.claims import Claims
    from pipeline.inbox.ignored import Ignored

    inbox = inbox.resolve()
    if not storage.is_folder(inbox):
        return None
    claimed = Claims(inbox, spool.folder.resolve(), spool.retries).folder
    return count(inbox, claimed, spool.retries, Ignored.by(ignore, inbox))


def _lines(found: Overview) -> Iterator[str]:
    from pipeline.forecast.words import spoken

    yield _runner(found.runner)
    if found.paused:
        yield f"{found.paused.told}: nothing is started until `stylistic resume`"
    yield from map(_running, found.running)
    queue = found.queue
    yield f"queued: {queue.count}" + (f", about {spoken(queue.seconds_left)}" if queue.seconds_left else "")
    if found.dropped:
        yield f"in the inbox, with no runner to see to it: {found.dropped}"
    if found.waiting:
        yield f"waiting: {len(found.waiting) + found.more_waiting}"
        yield from (f"  {one.name}: {one.reason}" for one in found.waiting)
    if found.unknown:
        yield f"not understood: {len(found.unknown)}"
        yield from (f"  {sentence}" for sentence in found.unknown)
    if found.repeated:
        yield f"dropped again: {len(found.repeated)}"
        yield from (f"  {sentence}" for sentence in found.repeated)
    for fault in found.faults:
        yield f"the machine is at fault: {fault}"
    if found.aside:
        yield f"set aside, as they are no jobs: {len(found.aside)}"
        yield from (f"  {path}" for path in found.aside[:5])
    for title, count in (("done", found.done), ("failed", found.failed)):
        yield f"{title}: {count}"
        yield from (_ended(one) for one in found.recent if (one.status == "done") is (title == "done"))


def _runner(runner: Runner) -> str:
    if runner.state == "alive":
        return f"a runner is alive: process {runner.pid} on {runner.host}, since {_local(runner.since)}"
    if runner.state == "died":
        where = f" on {runner.host}" if runner.host else ""
        return f"no runner is alive; process {runner.pid}{where} ended without a word; start it again, and it goes on"
    if runner.state == "ended":
        tally = f"{runner.done} done, {runner.failed} failed"
        return f"no runner is alive; the last one ended in order, {_local(runner.ended_at)}: {tally}"
    return "no runner is alive, and none has worked here yet"


def _running(job: Running) -> str:
    from pipeline.forecast.words import spoken

    by = f"; {_worker(job)}" if job.worker else ""
    left = f", about {spoken(job.seconds_left)} left" if job.seconds_left is not None else ""
    if job.loss is None or job.stage != "painting":
        return f"running: {job.id}: {job.stage}{left}{by}"
    on = f", on {job.device}" if job.device else ""
    at = f"frame {job.frame} of {job.frames}" if job.frames else f"step {job.step} of {job.steps}"
    return f"running: {job.id}: {at}, {job.scale} px, loss {job.loss:.3g}{left}{on}{by}"


def _worker(job: Running) -> str:
    from pipeline.forecast.words import spoken

    each = [worker.rpartition(":") for worker in str(job.worker).split(", ")]
    processes = ", ".join(f"process {pid} on {host}" for host, _, pid in each)
    if job.started_at is None:
        return processes
    since = datetime.now(UTC) - datetime.fromisoformat(job.started_at)
    return f"{processes}, for {spoken(since.total_seconds())}"


def _ended(ended: Ended) -> str:
    first, *more = (ended.error or "").splitlines() or [""]
    return f"  {ended.id}" + (f": {first}" if first else "") + (f" (and {len(more)} more)" if more else "")


def _local(moment: str | None) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else "unknown"
