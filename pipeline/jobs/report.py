"""What a runner says of itself and of its inbox, ``jobs/.report.json``, for `status` and the page."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pipeline import storage
from pipeline.jobs.fields import Count, Moment, ProcessId, SpoiltError, Text, read_json
from pipeline.manifest.fields import Model

FILE = ".report.json"
MOST_BYTES = 16 << 20


class Waits(Model):
    """A drop that waits, and for what; ``is_fault`` where no time will heal it but somebody must."""

    name: Text
    reason: Text
    is_fault: bool = False


class Report(Model):
    """The runner that works, or worked last, on a jobs folder; times are UTC in ISO 8601."""

    pid: ProcessId
    inbox: Text
    since: Moment
    ended_at: Moment | None = None  # once it has come to an end by itself or by a word, not by a crash
    done: Count = 0  # by this runner
    failed: Count = 0
    waiting: list[Waits] = Field(default_factory=list)
    more_waiting: Count = 0  # than are listed
    unknown: list[Text] = Field(default_factory=list)  # what is not understood: a sentence each, with the remedy
    repeated: list[Text] = Field(default_factory=list)  # photos that are painted already: a sentence each
    faults: list[Text] = Field(default_factory=list)  # what the machine is at fault of


def write(jobs: Path, report: Report) -> None:
    """Replace the report."""
    storage.write_json(jobs / FILE, report.model_dump(mode="json"))


def read(jobs: Path) -> Report | None:
    """The last report; None if there is none that can be read."""
    try:
        return read_json(Report, storage.read(jobs / FILE, MOST_BYTES))
    except (OSError, SpoiltError):
        return None
