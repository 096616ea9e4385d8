"""`clean`."""

from __future__ import annotations

import itertools
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import jobs_option, outbox_option
from pipeline.console import printable
from pipeline.errors import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from pipeline.jobs.spool import Spool
    from pipeline.outbox.cleaning import Leftover

_UNITS = {"h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}


@click.command()
@click.option("--older-than", metavar="AGE", required=True, help="Such as 30d, 12h or 8w.")
@click.option("--remove", is_flag=True, help="Remove them; without this they are only listed.")
@click.option(
    "--results", is_flag=True, help="Results in the outbox too, with their pictures; those of failed jobs as well."
)
@jobs_option
@outbox_option
def clean(older_than: str, remove: bool, results: bool, jobs: Path, outbox: Path) -> None:
    """Remove what is left of jobs that ended long ago.

    That is failed jobs, records of finished ones, and images kept for `again`. Queued and running jobs are never
    touched, nor is the inbox; what a style folder has painted is not painted again.

    \b
    Examples:
      stylistic clean --older-than 30d
      stylistic clean --older-than 30d --remove
    """
    from pipeline import storage
    from pipeline.forecast.paces import Paces, cache_file
    from pipeline.jobs.spool import Spool
    from pipeline.outbox import cleaning, page

    before = time.time() - _seconds(older_than)
    for folder in (jobs, outbox) if results else (jobs,):
        if not storage.is_folder(folder):
            raise EnvironmentFault(f"{folder}: not there.", "Name it with --jobs or --outbox.")
    spool = Spool(jobs)
    found = cleaning.find(spool, outbox if results else None, before)
    left = 0
    for kind, group in itertools.groupby(found, key=lambda one: one.kind):
        several = list(group)
        click.echo(f"{kind}: {len(several):,}, {sum(one.size for one in several) / 1e6:,.1f} MB")
        for one in several:
            if storage.is_folder(one.path):
                click.echo(printable(f"  {one.path}, {(time.time() - one.since) / 86_400:.0f} days old"))
            if remove and (why := _removed(one, spool)):
                left += 1
                click.echo(printable(f"{one.path} stays: {why}"), err=True)
    if remove:
        page.renew(spool, outbox, Paces(cache_file()))
    if not found:
        click.echo(f"nothing is older than {older_than}")
    elif left:
        click.echo(f"all but {left:,} of it is removed")
        sys.exit(EnvironmentFault.exit_code)
    else:
        click.echo("all of it is removed" if remove else "nothing is removed; --remove does it")


def _removed(one: Leftover, spool: Spool) -> str:
    """Remove a leftover; gives what is in the way of that, such as that it is somebody else's."""
    from pipeline.outbox import cleaning

    try:
        cleaning.remove(one, spool)
    except OSError as error:
        return str(error.strerror or error)
    return ""


def _seconds(age: str) -> float:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?) ?([hdw])", age.strip().lower())
    if match is None:
        raise UsageError(f"--older-than {age}: not an age.", "Write it as 30d, 12h or 8w.")
    return float(match[1]) * _UNITS[match[2]]
