"""`retry`, `again` and `cancel`."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import (
    inbox_option,
    jobs_option,
    library_option,
    limit_options,
    outbox_option,
    presets_option,
)
from pipeline.console import printable
from pipeline.errors import EnvironmentFault

if TYPE_CHECKING:
    from pipeline.jobs.spool import Spool


def renew_page(spool: Spool, outbox: Path) -> None:
    """Have the page tell what was changed here."""
    from pipeline.forecast.paces import Paces, cache_file
    from pipeline.outbox.page import renew

    renew(spool, outbox, Paces(cache_file()))


def user() -> str:
    """Whose command this is."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number that has no name, as in a container
        return f"user {os.getuid()}"


@click.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@jobs_option
@outbox_option
def retry(ids: tuple[str, ...], jobs: Path, outbox: Path) -> None:
    """Put failed jobs back to the queue.

    \b
    Example:
      stylistic retry harbour-20260101-220000-1a2b
    """
    from pipeline import storage
    from pipeline.jobs.spool import Spool
    from pipeline.outbox.publish import withdraw

    spool, ids = Spool(jobs), tuple(dict.fromkeys(ids))
    for job_id in ids:
        spool.require_retriable(job_id)
    if not storage.is_folder(outbox):  # elsewhere the failure would stay, as the answer to what is painted now
        raise EnvironmentFault(f"{outbox}: not there.", "Name the outbox with --outbox.")
    try:
        for job_id in ids:
            withdraw(outbox, job_id)
            spool.retry(job_id)
            click.echo(f"{job_id}: will run again")
    finally:
        renew_page(spool, outbox)


@click.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="What is to change: as for `submit`.")
@inbox_option
@jobs_option
@outbox_option
@library_option
@presets_option
@limit_options
def again(
    ids: tuple[str, ...],
    settings: tuple[str, ...],
    inbox: Path,
    jobs: Path,
    outbox: Path,
    library: tuple[Path, ...],
    presets: Path | None,
    **limits: int,
) -> None:
    """Do finished or failed jobs once more, with changes.

    The images that they had are kept for --keep-inputs days of `run` and `watch`; later they are looked for in the
    inbox.

    \b
    Example:
      stylistic again harbour-20260101-220000-1a2b --set strength=0.5 --set preset=fine
    """
    from pipeline.inbox import again as repeating
    from pipeline.inbox.places import Places
    from pipeline.jobs.spool import Spool
    from pipeline.manifest.model import Limits

    spool, places = Spool(jobs), Places(inbox, inbox, library)
    planned = [repeating.plan(spool, job_id, settings, places, Limits(**limits), presets) for job_id in ids]
    try:
        for job_id, repetition in zip(ids, planned, strict=True):
            repeating.queue(spool, repetition)
            click.echo(printable(f"{job_id}: again as {repetition.job.id}"))
    finally:
        renew_page(spool, outbox)


@click.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@jobs_option
@outbox_option
def cancel(ids: tuple[str, ...], jobs: Path, outbox: Path) -> None:
    """Stop queued or running jobs.

    They are kept like failed ones, and `retry` brings them back.

    \b
    Example:
      stylistic cancel harbour-20260101-220000-1a2b
    """
    from pipeline.jobs.spool import Spool
    from pipeline.outbox.cancelling import cancel_job, require_cancellable

    spool, ids = Spool(jobs), tuple(dict.fromkeys(ids))
    for job_id in ids:
        require_cancellable(spool, outbox, job_id)
    try:
        for job_id in ids:
            click.echo(f"{job_id}: {cancel_job(spool, outbox, job_id, user())}")
    finally:
        renew_page(spool, outbox)
