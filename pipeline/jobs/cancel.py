"""A job that was cancelled: the marker ``cancel`` in its folder, which says by whom, until its owner is answered."""

from __future__ import annotations

import shlex
from pathlib import Path

from pipeline import storage
from pipeline.jobs.fields import Moment, SpoiltError, Text, read_json
from pipeline.jobs.record import now
from pipeline.jobs.result import Failed
from pipeline.manifest.fields import Model

FILE = "cancel"
PREFIX = "cancelled by "
MOST_BYTES = 1 << 16


class Cancelled(Model):
    """Who cancelled a job, and when (UTC, ISO 8601)."""

    by: Text
    at: Moment


def mark(folder: Path, by: str) -> None:
    """Ask for the job in a folder to be cancelled; whoever runs it looks at this.

    Raises:
        FileNotFoundError: the folder is not there any more.
    """
    storage.write_json(folder / FILE, Cancelled(by=by, at=now()).model_dump())


def is_marked(folder: Path) -> bool:
    """Whether the job in a folder is to be cancelled."""
    try:
        return storage.is_there(folder / FILE)
    except OSError as error:
        if storage.is_of_entry(error):
            return False
        raise


def read(folder: Path) -> Failed | None:
    """What the owner of a cancelled job is told; None where nobody has cancelled it."""
    try:
        by = read_json(Cancelled, storage.read(folder / FILE, MOST_BYTES)).by
    except FileNotFoundError:
        return None
    except (OSError, SpoiltError):
        by = "somebody"
    return Failed(reason=f"{PREFIX}{by}; `stylistic retry {shlex.quote(folder.name)}` brings it back.")
