"""`run` and `watch`."""

from __future__ import annotations

import dataclasses
import logging
import os
import shlex
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import console
from pipeline.cli.options import require_folders, runner_options
from pipeline.errors import StylisticError, UsageError

if TYPE_CHECKING:
    from pipeline.forecast.paces import Paces
    from pipeline.inbox.claims import Claims
    from pipeline.inbox.scan import Scanner
    from pipeline.jobs.spool import Spool
    from pipeline.runner.executor import Executor
    from pipeline.runner.loop import Ending, Runner
    from pipeline.runner.notifier import Notifier

log = logging.getLogger(__name__)


@click.command()
@runner_options
@click.option("--until", metavar="HH:MM", help="Stop at this time with a checkpoint; the next run goes on.")
@click.option("--max-jobs", type=click.IntRange(1), help="Start at most this many jobs.")
def run(until: str | None, max_jobs: int | None, **options: Any) -> None:
    """One pass: run everything in the inbox and the queue, then exit.

    A drop whose images are not all there yet is waited for, up to --input-timeout.

    \b
    Examples:
      stylistic run
      stylistic run --until 06:30 --notify "mail -s stylistic me@example.org"
    """
    from pipeline.runner.loop import Ending

    _run(Ending(until=_next_time(until), max_jobs=max_jobs), **options)


@click.command()
@runner_options
def watch(**options: Any) -> None:
    """Run what is dropped, for ever; stop with Ctrl-C or SIGTERM.

    \b
    Examples:
      stylistic watch
      stylistic watch --poll --inbox /mnt/share/inbox --outbox /mnt/share/outbox
      stylistic watch --workers auto
      stylistic watch --jobs /mnt/share/jobs --scheduler tcp://head:8786
    """
    from pipeline.runner.loop import Ending

    _run(Ending(forever=True), **options)


def _run(ending: Ending, **options: Any) -> None:
    from pipeline.jobs.lock import runner_lock
    from pipeline.runner.notifier import Notifier

    console.set_up(options["log_format"])
    notifier = Notifier(_words(options.pop("notify")))
    runner = _runner(ending, notifier, **options)
    problem = ""
    try:
        with runner_lock(options["jobs"]):
            try:
                runner.run()
            except (StylisticError, OSError) as error:
                problem = str(error)
                raise
            finally:
                if not ending.forever:
                    notifier.batch(runner.tally, problem)
    finally:
        notifier.close()
    log.info("%d done, %d failed%s", runner.tally.done, runner.tally.failed, _left(runner))
    sys.exit(1 if runner.tally.failed and not ending.forever else 0)


def _left(runner: Runner) -> str:
    """What is left in the queue, if anything."""
    from pipeline.forecast.words import spoken

    count, found = runner.left()
    about = f", about {spoken(found.seconds)}" if found else ""
    left = f", {count:,} left{about}" if count else ""
    if runner.pause:
        return f"{left}; {runner.pause.told}: `stylistic resume`, then run again to go on"
    return f"{left}; run again to go on" if count else ""


def _words(command: str | None) -> list[str] | None:
    """The words of a command, split as a shell would; no shell runs it."""
    try:
        return shlex.split(command or "") or None
    except ValueError as error:
        raise UsageError(f"--notify {command}: {error}.", "Quote its words as for a shell.") from None


def _runner(
    ending: Ending,
    notifier: Notifier,
    *,
    inbox: Path,
    jobs: Path,
    outbox: Path,
    library: tuple[Path, ...],
    poll: bool,
    keep_inputs: float,
    step_timeout: float,
    device: str,
    log_format: str,
    no_pictures: bool,
    **others: Any,
) -> Runner:
    from pipeline.forecast.paces import Paces, cache_file
    from pipeline.inbox.alarm import Alarm
    from pipeline.inbox.claims import Claims
    from pipeline.inbox.overlaps import REMEDY, overlaps
    from pipeline.jobs.lock import Lease
    from pipeline.jobs.spool import Spool
    from pipeline.runner.loop import Runner

    if found := overlaps(inbox, library, jobs=jobs, outbox=outbox):
        raise UsageError("; ".join(found) + ".", REMEDY)
    require_folders(click.get_current_context(), inbox=inbox, jobs=jobs, outbox=outbox)
    inbox, jobs, outbox = inbox.resolve(), jobs.resolve(), Path(os.path.relpath(outbox.resolve()))
    log.info("inbox %s, jobs %s, outbox %s", inbox, jobs, outbox.resolve())
    spool = Spool(jobs, keep_inputs)
    claims = Claims(inbox, jobs, spool.retries)
    paces = Paces(cache_file(), device)
    executor, memory = _executor(device=device, log_format=log_format, **others)
    return Runner(
        _scanner(inbox, library, spool, claims, paces, memory, trust_times=not poll, **others),
        claims,
        spool,
        Lease(jobs),
        outbox,
        executor,
        Alarm(None if poll or not ending.forever else inbox),
        ending,
        step_timeout,
        lambda line: console.say(line, log_format),
        lambda published: notifier.failure(published, outbox),
        paces,
        not no_pictures,
    )


def _scanner(
    inbox: Path,
    library: tuple[Path, ...],
    spool: Spool,
    claims: Claims,
    paces: Paces,
    memory: int | None,
    *,
    trust_times: bool,
    ignore: tuple[str, ...],
    settle: float,
    input_timeout: float,
    presets: Path | None,
    **others: Any,
) -> Scanner:
    """What looks at the inbox, and judges."""
    from pipeline.inbox.drops import Drops
    from pipeline.inbox.ignored import Ignored
    from pipeline.inbox.readiness import Judge
    from pipeline.inbox.scan import Scanner
    from pipeline.jobs.search import made_of
    from pipeline.manifest.model import Limits

    limits = Limits(**{key: value for key, value in others.items() if key.startswith("max_")})
    ignored = Ignored.by(ignore, inbox)
    drops = Drops(inbox, claims.folder, spool.retries, [folder.resolve() for folder in library], ignored)
    judge = Judge(settle, input_timeout, limits, trust_times, presets, ignored, paces, memory)
    return Scanner(drops, judge, partial(made_of, spool))


def _executor(
    *,
    weights: Path | None,
    max_pixels: int,
    checkpoint_seconds: float,
    device: str,
    log_format: str,
    idle_minutes: float,
    workers: int | None,
    scheduler: str | None,
    scheduler_file: Path | None,
    **_: Any,
) -> tuple[Executor, int | None]:
    """What paints, and the bytes of memory that a picture may take there at most, if that is known."""
    from pipeline.forecast.paces import cache_file
    from pipeline.runner.cluster import ClusterExecutor, connector
    from pipeline.runner.local import LocalExecutor
    from pipeline.worker import memory, share
    from pipeline.worker.session import Options

    weights, idle_seconds = weights and weights.resolve(), 60 * idle_minutes or None
    options = Options(
        weights, max_pixels, checkpoint_seconds, device, log_format, cache_file(), idle_seconds=idle_seconds
    )
    if scheduler or scheduler_file:
        if workers != 1:
            raise UsageError("--workers is for this machine, --scheduler for a cluster.", "Give one of them.")
        return ClusterExecutor(connector(scheduler, scheduler_file), options), None
    environments = share.environments(workers, device)
    options = dataclasses.replace(options, processes_a_card=share.of_card(environments))
    if len(environments) > 1 and (available := memory.available()) is not None:
        options = dataclasses.replace(options, memory_limit=available // len(environments))
    return LocalExecutor(options, environments), share.of_memory(environments, device)


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
