"""`submit`, `check`, `status` and `retry`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.cli.options import (
    FILE,
    FOLDER,
    inbox_option,
    jobs_option,
    limit_options,
    option,
    outbox_option,
    presets_option,
)
from pipeline.console import printable


@click.command()
@click.argument("content", type=FILE)
@click.argument("style", type=FILE, nargs=-1, required=True)
@click.option("--name", help="The job's name; default: from the files' names.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter, or preset or priority.")
@inbox_option
@presets_option
def submit(
    content: Path,
    style: tuple[Path, ...],
    name: str | None,
    settings: tuple[str, ...],
    inbox: Path,
    presets: Path | None,
) -> None:
    """Write a job folder into the inbox: paint CONTENT like STYLE (one painting, or several).

    \b
    Example:
      stylistic submit harbour.jpg wave.jpg --set image_size=768
    """
    from pipeline.inbox.submit import submit as write_job

    click.echo(write_job(inbox, content, list(style), name, settings, presets))


@click.command()
@click.argument("manifests", metavar="MANIFEST…", type=FILE, nargs=-1, required=True)
@option("--library", type=FOLDER, multiple=True, help="A further folder that manifests may take images from.")
@inbox_option
@presets_option
@limit_options
def check(
    manifests: tuple[Path, ...], library: tuple[Path, ...], inbox: Path, presets: Path | None, **limits: int
) -> None:
    """Validate manifests and the images they name, without running anything.

    \b
    Example:
      stylistic check inbox/harbour.yaml
    """
    from pipeline.inbox.check import check as find_problems
    from pipeline.manifest.model import Limits

    bad = 0
    for manifest in manifests:
        problems = find_problems(manifest, inbox, list(library), Limits(**limits), presets)
        bad += bool(problems)
        for problem in problems or [f"{manifest}: fine"]:
            click.echo(printable(problem))
    sys.exit(1 if bad else 0)


@click.command()
@jobs_option
@outbox_option
def status(jobs: Path, outbox: Path) -> None:
    """The queue, the running job's progress, recent results and failures.

    \b
    Example:
      stylistic status --jobs /srv/pictures/jobs --outbox /srv/pictures/outbox
    """
    from pipeline.outbox.overview import describe

    click.echo(printable(describe(jobs, outbox)))


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
    from pipeline.jobs.spool import Spool
    from pipeline.outbox.publish import withdraw

    spool = Spool(jobs)
    for job_id in ids:
        spool.require_failed(job_id)
        withdraw(outbox, job_id)
        spool.retry(job_id)
        click.echo(f"{job_id}: will run again")
