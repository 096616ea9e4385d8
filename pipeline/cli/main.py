"""The `stylistic` command: its commands, and the boundary where any error becomes a sentence and an exit code."""

from __future__ import annotations

import logging
import sys

import click

from pipeline import console
from pipeline.cli import control, fitness, jobs, looking, pausing, running, status, tidying
from pipeline.errors import EnvironmentFault, StylisticError
from pipeline.storage import OddError

log = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stylistic")
def cli() -> None:
    """Drop photos and a manifest into a folder; find paintings in another.

    Options follow the command; most can be set by an environment variable STYLISTIC_…, which their help names.

    Exit codes: 0 all well; 1 some job failed; 2 wrong usage; 3 the environment (no weights, folder not writable); 75
    another runner holds the lock.
    """


for _command in (
    running.run,
    running.watch,
    jobs.submit,
    jobs.check,
    status.status,
    control.retry,
    control.again,
    control.cancel,
    pausing.pause,
    pausing.resume,
    tidying.clean,
    looking.inspect,
    fitness.doctor,
    looking.weights,
    looking.schema,
):
    cli.add_command(_command)


def main() -> None:
    """The command's entry point: turns any error of ours into a sentence and its exit code."""
    console.set_up()
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except StylisticError as error:
        log.error("stylistic: %s", error)
        sys.exit(error.exit_code)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        odd = " in the place of a file" if isinstance(error, OddError) else ""
        log.error("stylistic: %s%s%s", error.strerror or error, odd, where)
        sys.exit(EnvironmentFault.exit_code)
