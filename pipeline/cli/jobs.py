"""`submit` and `check`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import (
    FILE,
    ignore_option,
    inbox_option,
    jobs_option,
    library_option,
    limit_options,
    presets_option,
    require_folders,
)
from pipeline.console import printable
from pipeline.errors import JobError, UsageError

if TYPE_CHECKING:
    from pipeline.forecast.work import Painting


class _Submit(click.Command):
    """Takes all that follows ``--style``, up to the next option, for paintings."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        is_style = False
        for arg in args:
            if arg.startswith("-"):
                is_style = arg.partition("=")[0] == "--style"
            elif is_style and spread[-1] != "--style":
                spread.append("--style")
            spread.append(arg)
        return super().parse_args(context, spread)


def _cost_of(work: list[Painting]) -> str:
    """What one job of several takes: time, where that is known, and memory, where that is much."""
    from pipeline.forecast.paces import Paces, cache_file
    from pipeline.forecast.words import spoken
    from pipeline.worker.fitting import much_memory

    estimate = Paces(cache_file()).estimate(work, is_warm=True)
    said = [f"about {spoken(estimate.seconds)}"] if estimate else []
    most = max(map(much_memory, work), default=0)
    said += [f"{most / 1e9:.1f} GB of memory"] if most else []
    return f", {', '.join(said)}" if said else ""


def _refused(work: list[Painting], jobs: Path) -> list[str]:
    """Why this machine could not paint the pictures now, in a sentence for each size."""
    from pipeline.worker.fitting import require_disk, require_memory_here
    from pipeline.worker.session import Options

    options = Options(weights=None, max_pixels=0, checkpoint_seconds=0.0)
    found: dict[str, None] = {}
    for one in work:
        try:
            require_memory_here(one, options)
            with contextlib.suppress(OSError):  # the jobs folder may be yet to come
                require_disk(one, jobs)
        except JobError as error:
            found[str(error)] = None
    return list(found)


def _told(jobs: list[list[Painting]]) -> str:
    """How much work jobs are, and how long it takes here."""
    from pipeline.forecast.paces import Paces, cache_file
    from pipeline.forecast.words import counted, told

    work = [painting for job in jobs for painting in job]
    count, of = counted(work)
    return told(count, Paces(cache_file()).estimate(work), of)


@click.command(cls=_Submit)
@click.argument("photos", metavar="PHOTO…", nargs=-1)
@click.option(
    "--style", "styles", metavar="PAINTING…", type=FILE, multiple=True, help="The painting, or several to mix."
)
@click.option("--name", help="The job's name, or of several what they begin with; default: the photo's.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter, or a field of the manifest.")
@click.option("--dry-run", is_flag=True, help="Tell what would be written, and write nothing.")
@inbox_option
@jobs_option
@ignore_option
@presets_option
@limit_options
@click.pass_context
def submit(
    context: click.Context,
    /,
    photos: tuple[str, ...],
    styles: tuple[Path, ...],
    name: str | None,
    settings: tuple[str, ...],
    dry_run: bool,
    inbox: Path,
    jobs: Path,
    ignore: tuple[str, ...],
    presets: Path | None,
    **limits: int,
) -> None:
    """Write a job into the inbox for each photo.

    Each PHOTO is painted like the PAINTING, or like several of them mixed. A PHOTO is a file (a video, too), a folder
    of photos, or a quoted pattern such as "holiday/**/*.jpg". With frames=true a folder is one clip, of numbered
    frames, and an animated picture is one. All photos, paintings and settings are tried before the first job is
    written.

    \b
    Examples:
      stylistic submit holiday --style wave.jpg --set image_size=768
      stylistic submit "trip/*.jpg" --style wave.jpg scream.jpg --dry-run
      stylistic submit shot --style wave.jpg --set frames=true
    """
    from pipeline.forecast.paces import Paces, cache_file
    from pipeline.inbox import submit as submitting
    from pipeline.inbox.settings import read_settings
    from pipeline.manifest.model import Limits
    from pipeline.pictures.suffixes import told_unread

    if not photos:
        raise UsageError("no photo.", "Name photos before --style: what follows it are paintings.")
    given = read_settings(settings)
    if styles:
        found, unread = submitting.find_photos(photos, ignore, given.frames)
        if unread:
            click.echo(printable(f"{told_unread(unread)}."), err=True)
    elif len(photos) > 1:  # as it was before there was --style: one photo, then the paintings
        photo, *others = map(Path, photos)
        found, styles = {photo: f"{photo.stem}-{others[0].name}"}, tuple(others)
    else:
        raise UsageError(f"{photos[0]}: like which painting?", "Name it with --style, after the photos.")
    planned = submitting.plan(found, styles, name, given, Limits(**limits), presets, Paces(cache_file()))
    if dry_run:
        for job in planned:
            frames, cost = sum(painting.frames for painting in job.paintings), _cost_of(job.paintings)
            amount = (
                f"{frames:,} frames" if job.manifest.sweep is None and frames > 1 else f"{job.manifest.steps:,} steps"
            )
            click.echo(printable(f"{job.manifest.name}: {job.manifest.content}, {amount}{cost}"))
            for refused in _refused(job.paintings, jobs):
                click.echo(printable(f"{job.manifest.name}: {refused}"), err=True)
        click.echo(f"{_told([job.paintings for job in planned])}; nothing is written")
        return
    require_folders(context, inbox=inbox)
    for folder in submitting.write(planned, inbox):
        click.echo(printable(str(folder)))
    click.echo(_told([job.paintings for job in planned]), err=True)


@click.command()
@click.argument("manifests", metavar="MANIFEST…", type=FILE, nargs=-1, required=True)
@library_option
@inbox_option
@jobs_option
@ignore_option
@presets_option
@limit_options
def check(
    manifests: tuple[Path, ...],
    library: tuple[Path, ...],
    inbox: Path,
    jobs: Path,
    ignore: tuple[str, ...],
    presets: Path | None,
    **limits: int,
) -> None:
    """Say what is wrong with manifests, and how long they would take.

    The images that they name are looked at too; nothing is run. Of a style folder's style.yaml that is what all its
    photos have in common.

    \b
    Example:
      stylistic check inbox/harbour.yaml
    """
    from pipeline.forecast.paces import Paces, cache_file
    from pipeline.inbox.check import check as find_problems
    from pipeline.manifest.model import Limits

    found, allowed, paces = [], Limits(**limits), Paces(cache_file())
    for manifest in manifests:
        found.append(find_problems(manifest, inbox, library, allowed, presets, paces, ignore))
        found[-1].problems.extend(f"{manifest}: {refused}" for refused in _refused(found[-1].paintings, jobs))
        for problem in found[-1].problems or [f"{manifest}: fine{_cost_of(found[-1].paintings)}"]:
            click.echo(printable(problem))
    if work := [one.paintings for one in found if one.paintings and not one.problems]:
        click.echo(_told(work))
    sys.exit(1 if any(one.problems for one in found) else 0)
