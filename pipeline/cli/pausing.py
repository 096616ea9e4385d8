"""`pause` and `resume`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.control import renew_page, user
from pipeline.cli.options import jobs_option, outbox_option, require_folders
from pipeline.console import printable
from pipeline.errors import EnvironmentFault


@click.command()
@click.option("--now", "stops_jobs", is_flag=True, help="What runs leaves a checkpoint, and goes back to the queue.")
@jobs_option
@outbox_option
@click.pass_context
def pause(context: click.Context, stops_jobs: bool, jobs: Path, outbox: Path) -> None:
    """Start no job until `resume`; what runs goes on.

    Drops are taken in and queued meanwhile. A pause holds for every `run` and `watch` on this jobs folder, whenever
    they are started: `run` takes in, says what is left, and exits with 0; `watch` waits.

    \b
    Examples:
      stylistic pause
      stylistic pause --now --jobs /srv/pictures/jobs
    """
    from pipeline.jobs import pause as pausing
    from pipeline.jobs.spool import Spool

    require_folders(context, jobs=jobs)
    try:
        found = pausing.begin(jobs, user(), stops_jobs)
    except OSError as error:
        raise EnvironmentFault(
            f"{jobs}: a pause cannot be noted there ({error.strerror}); all goes on as before.",
            "Make that possible first, or stop the runner with Ctrl-C or SIGTERM.",
        ) from None
    running = "what runs stops with a checkpoint" if found.stops_jobs else "what runs goes on"
    click.echo(printable(f"{found.told}: nothing is started, {running}; `stylistic resume` ends it"))
    renew_page(Spool(jobs), outbox)


@click.command()
@jobs_option
@outbox_option
@click.pass_context
def resume(context: click.Context, jobs: Path, outbox: Path) -> None:
    """Start jobs again after `pause`.

    \b
    Example:
      stylistic resume
    """
    from pipeline.jobs import pause as pausing
    from pipeline.jobs.spool import Spool

    require_folders(context, jobs=jobs)
    found = pausing.read(jobs)
    pausing.end(jobs)
    click.echo(printable(f"goes on; it was {found.told}" if found else "it was not paused"))
    renew_page(Spool(jobs), outbox)
