"""Options that several commands share, each with its environment variable; and where the weights are."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pipeline import console
from pipeline.errors import EnvironmentFault

F = TypeVar("F", bound=Callable[..., Any])


class _Folder(click.Path):
    """A folder, free of links from here on."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """As it was named if no part of its path is a link, else where that leads."""
        from pipeline import storage

        return storage.real(Path(str(super().convert(value, parameter, context))))


class _Number(click.FloatRange):
    """A finite number of a range, which NaN would lie in."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, parameter, context)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", parameter, context)
        return number


FOLDER = _Folder(path_type=Path, file_okay=False)
COUNT = click.IntRange(1)
SECONDS = _Number(0, 366 * 86_400)
FILE = click.Path(path_type=Path, dir_okay=False)


def option(name: str, **settings: Any) -> Callable[[F], F]:
    """An option with the environment variable of its name."""
    variable = "STYLISTIC_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, show_default=True, **settings)


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, shown in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


inbox_option = option("--inbox", type=FOLDER, default="inbox", help="Where manifests and images are dropped.")
jobs_option = option("--jobs", type=FOLDER, default="jobs", help="Where jobs live until they are done.")
outbox_option = option("--outbox", type=FOLDER, default="outbox", help="Where results appear.")
presets_option = option(
    "--presets", type=FOLDER, default=None, help="Presets of your own: `preset: night` finds FOLDER/night.yaml."
)
weights_option = option(
    "--weights", type=FILE, default=None, help="VGG-19's weights, Keras HDF5; default: found by itself."
)
limit_options = together(
    option("--max-pixels", type=COUNT, default=200_000_000, help="Larger images are refused before decoding."),
    option("--max-steps", type=COUNT, default=100_000, help="Steps that a job may ask for."),
    option("--max-styles", type=COUNT, default=16, help="Style images that a job may name."),
    option("--max-variants", type=COUNT, default=64, help="Combinations that a sweep may have."),
    option("--max-frames", type=COUNT, default=3000, help="Frames that a clip may have."),
    option("--max-snapshots", type=COUNT, default=500, help="Snapshots that a job may keep."),
    option("--max-manifest-bytes", type=COUNT, default=256 * 1024, help="Larger manifests are refused."),
    option("--max-depth", type=COUNT, default=16, help="Folders within folders that a job folder may have."),
    option("--max-files", type=COUNT, default=10_000, help="Files that a job folder may have."),
)
device_option = option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    help="What paints; `gpu` refuses to fall back to the CPU.",
)
library_option = option(
    "--library", type=FOLDER, multiple=True, help="A further folder that manifests may take images from."
)


ignore_option = option(
    "--ignore",
    type=str,
    multiple=True,
    metavar="PATTERN",
    help="What in folders is not looked at, as in a .gitignore; repeatable. A file .stylisticignore in a folder, too.",
)


def _count_or_auto(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    return None if value == "auto" else int(COUNT(value, parameter, context))


runner_options = together(
    inbox_option,
    jobs_option,
    outbox_option,
    library_option,
    ignore_option,
    option("--settle", type=SECONDS, default=2.0, help="Seconds a file must have kept still."),
    option("--poll", is_flag=True, help="For network shares: no file system events, no trust in file times."),
    option("--input-timeout", type=SECONDS, default=600.0, help="Seconds to wait for missing images."),
    option("--checkpoint-seconds", type=SECONDS, default=30.0, help="Seconds between checkpoints."),
    option("--no-pictures", is_flag=True, help="Leave out OUTBOX/pictures, the folder of the pictures alone."),
    option("--keep-inputs", type=_Number(0, 36_600), default=7.0, help="Days that images are kept for `again`."),
    option(
        "--step-timeout", type=_Number(1, SECONDS.max), default=1800.0, help="Seconds without a step: the worker hangs."
    ),
    presets_option,
    limit_options,
    weights_option,
    device_option,
    option(
        "--workers",
        metavar="N|auto",
        callback=_count_or_auto,
        default="1",
        help="Jobs at once on this machine; `auto`: one a card, or without cards what paints most.",
    ),
    option(
        "--idle-minutes",
        type=_Number(0, 366 * 1440),
        default=10.0,
        help="Without a job, after which memory and device are let go until the next; 0: never.",
    ),
    option("--scheduler", metavar="ADDRESS", help="Run the jobs on a Dask cluster, such as tcp://host:8786."),
    option("--scheduler-file", type=FILE, help="The same, by the file in which a scheduler has written its address."),
    option(
        "--log-format",
        type=click.Choice(console.FORMATS),
        default="text",
        help="Text is dated where no terminal shows it; json: an object a line.",
    ),
    option("--notify", metavar="COMMAND", help="Run at the end of a batch and at each failure, told by JSON."),
)


def require_folders(context: click.Context, **folders: Path) -> None:
    """Make those folders that are the default ones; any other has to be there, as it may be a disk that is not.

    Args:
        context: the command's, which knows what was named.
        folders: by option.

    Raises:
        EnvironmentFault: a folder that was named is missing, or a default one cannot be made.
    """
    from pipeline import storage

    for name, folder in folders.items():
        is_default = context.get_parameter_source(name) is ParameterSource.DEFAULT
        if not is_default and not storage.is_folder(folder):
            what = "no folder" if storage.is_there(folder) else "not there"
            raise EnvironmentFault(f"{folder}: {what} (--{name}).", "Make it first, or mend its name.")
        try:
            storage.ensure_folder(folder)
        except OSError as error:
            raise EnvironmentFault(f"{folder}: cannot be made ({error.strerror}).") from None


def weights_cache() -> Path:
    """Where the weights of VGG-19 are kept."""
    from pipeline.worker import session

    return session.weights_cache()
