"""The `stylistic` command: its commands, and the boundary where any error becomes a sentence and an exit code."""

from __future__ import annotations

import logging
import sys

import click

from pipeline.cli import jobs, looking, running
from pipeline.cli.options import printable
from pipeline.errors import EnvironmentFault, StylisticError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stylistic")
def cli() -> None:
    """Drop photos and a manifest into a folder; find paintings in another.

    Options follow the command; each can be set by an environment variable STYLISTIC_…

    Exit codes: 0 all well; 1 some job failed; 2 wrong usage; 3 the environment (no weights, folder not writable); 75
    another runner holds the lock.
    """


for _command in (
    running.run,
    running.watch,
    jobs.submit,
    jobs.check,
    jobs.status,
    jobs.retry,
    looking.inspect,
    looking.weights,
    looking.schema,
):
    cli.add_command(_command)


def main() -> None:
    """The command's entry point: turns any error of ours into a sentence and its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger().handlers[0].setFormatter(_PrintableFormatter("%(message)s"))
    logging.getLogger("pipeline").setLevel(logging.INFO)
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
        click.echo(printable(f"stylistic: {error}"), err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(printable(f"stylistic: {error.strerror or error}: {error.filename}"), err=True)
        sys.exit(EnvironmentFault.exit_code)


class _PrintableFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
