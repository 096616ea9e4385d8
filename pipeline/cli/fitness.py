"""`doctor`."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import (
    device_option,
    inbox_option,
    jobs_option,
    library_option,
    option,
    outbox_option,
    weights_cache,
    weights_option,
)
from pipeline.console import printable
from pipeline.errors import EnvironmentFault


@click.command()
@inbox_option
@jobs_option
@outbox_option
@library_option
@option("--poll", is_flag=True, help="As for `watch`: no file system events are asked for.")
@weights_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool, weights: Path | None, **place: Any) -> None:
    """Whether this machine is fit, link by link.

    Each is ok, a warning or broken, with what to do. Folders are tried with small files that are gone afterwards;
    nothing is fetched. Exit code 3 if jobs would fail.

    \b
    Examples:
      stylistic doctor
      stylistic doctor --device gpu --json
    """
    from pipeline.doctor.examination import Place, examine, summary, told

    findings = []
    for found in examine(Place(weights=weights, cache=weights_cache(), **place)):
        findings.append(found)
        if not as_json:
            click.echo(printable(told(found)))
            sys.stdout.flush()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(found) for found in findings], indent=1))
    else:
        click.echo(f"\n{summary(findings)}")
    if any(found.state == "broken" for found in findings):
        sys.exit(EnvironmentFault.exit_code)
