"""`run` and `watch`."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import printable, require_folders, runner_options, weights_cache
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.runner.loop import Ending, Runner


@click.command()
@runner_options
@click.option("--until", metavar="HH:MM", help="Stop at this time with a checkpoint; the next run goes on.")
@click.option("--max-jobs", type=click.IntRange(1), help="Start at most this many jobs.")
def run(until: str | None, max_jobs: int | None, **options: Any) -> None:
    """One pass: run everything in the inbox and the queue, then exit.

    A drop whose images are not all there yet is waited for, up to --input-timeout.
    """
    from pipeline.runner.loop import Ending

    _run(Ending(until=_next_time(until), max_jobs=max_jobs, step_timeout_seconds=options["step_timeout"]), **options)


@click.command()
@runner_options
def watch(**options: Any) -> None:
    """Run what is dropped, for ever; stop with Ctrl-C or SIGTERM."""
    from pipeline.runner.loop import Ending

    _run(Ending(forever=True, step_timeout_seconds=options["step_timeout"]), **options)


def _run(ending: Ending, **options: Any) -> None:
    from pipeline.jobs.lock import runner_lock

    runner = _runner(ending, **options)
    with runner_lock(options["jobs"]):
        runner.run()
    tally = runner.tally
    click.echo(f"{tally.done} done, {tally.failed} failed", err=True)
    sys.exit(1 if tally.failed and not ending.forever else 0)


def _runner(
    ending: Ending,
    *,
    inbox: Path,
    jobs: Path,
    outbox: Path,
    library: tuple[Path, ...],
    settle: float,
    input_timeout: float,
    checkpoint_seconds: float,
    weights: Path | None,
    max_pixels: int,
    poll: bool,
    presets: Path | None,
    **others: Any,
) -> Runner:
    from pipeline.inbox.alarm import Alarm
    from pipeline.inbox.claims import Claims
    from pipeline.inbox.drops import Drops
    from pipeline.inbox.readiness import Judge
    from pipeline.inbox.scan import Scanner
    from pipeline.jobs.spool import Spool
    from pipeline.manifest import Limits
    from pipeline.runner.local import LocalExecutor
    from pipeline.runner.loop import Runner
    from pipeline.worker.session import Options

    require_folders(click.get_current_context(), inbox=inbox, jobs=jobs, outbox=outbox)
    inbox, jobs, outbox = inbox.resolve(), jobs.resolve(), Path(os.path.relpath(outbox.resolve()))
    click.echo(printable(f"inbox {inbox}, jobs {jobs}, outbox {outbox.resolve()}"), err=True)
    limits = Limits(max_pixels, **{key: value for key, value in others.items() if key.startswith("max_")})
    spool = Spool(jobs)
    claims = Claims(inbox, jobs, spool.retries)
    drops = Drops(inbox, claims.folder, spool.retries, [folder.resolve() for folder in library])
    return Runner(
        Scanner(drops, Judge(settle, input_timeout, limits, not poll, presets)),
        claims,
        spool,
        outbox,
        LocalExecutor(jobs, Options(weights and weights.resolve(), weights_cache(), max_pixels, checkpoint_seconds)),
        Alarm(None if poll or not ending.forever else inbox),
        ending,
        lambda line: click.echo(printable(line)),
    )


def _next_time(clock: str | None) -> float | None:
    """The next moment the clock shows HH:MM, in seconds since the epoch."""
    if clock is None:
        return None
    now = datetime.now()
    try:
        wanted = datetime.strptime(clock, "%H:%M")
    except ValueError:
        raise UsageError(f"--until {clock}: not a time.", "Write it as HH:MM, such as 06:30.") from None
    moment = now.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
    return (moment if moment > now else moment + timedelta(days=1)).timestamp()
