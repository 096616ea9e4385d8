"""A job's record and the names of the files in a job's folder, which runner and worker share."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import storage

RECORD = "job.json"
LOSSES = "loss.jsonl"
VARIANTS = "variants"  # a folder with a job of its own for each combination of a sweep
RESULT = "result"  # a folder with what the worker leaves for publishing, and its report
REPORT = "result.json"


@dataclass(frozen=True)
class Input:
    """An image of a job: as the manifest wrote it, the copy's name in the job's folder, and what it is."""

    file: str
    stored: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class Job:
    """A job's record, ``job.json`` in its folder. ``manifest`` is the effective one.

    ``images`` has one for each part that the manifest gives one (see ``Manifest.images``); without any it never ran.
    """

    id: str
    name: str
    claimed_at: str
    priority: int = 0
    manifest: dict[str, Any] | None = None
    images: dict[str, Input] = field(default_factory=dict)
    steps: int = 0  # in all, of every variant
    attempts: int = 0
    deaths: int = 0
    started_at: str | None = None

    @classmethod
    def load(cls, folder: Path) -> Job:
        """The record in a job's folder; raises FileNotFoundError where there is none."""
        data = json.loads((folder / RECORD).read_bytes())
        return cls(**{**data, "images": {part: Input(**image) for part, image in data["images"].items()}})

    def save(self, folder: Path) -> None:
        """Write the record into the job's folder."""
        storage.write_json(folder / RECORD, dataclasses.asdict(self))


def write_result(folder: Path, encoded: bytes, report: dict[str, Any]) -> None:
    """Leave a picture in a job's folder and, when it is safe, the report that says that there is one.

    Args:
        folder: the job's.
        encoded: the picture's file.
        report: with ``output.file``, the picture's name; its SHA-256 is added.
    """
    result = folder / RESULT
    result.mkdir(exist_ok=True)
    storage.write_atomic(result / report["output"]["file"], encoded)
    report["output"]["sha256"] = hashlib.sha256(encoded).hexdigest()
    storage.write_json(result / REPORT, report)


def has_report(folder: Path) -> bool:
    """Whether the worker is through with a job."""
    return (folder / RESULT / REPORT).exists()


def read_report(folder: Path) -> dict[str, Any]:
    """What the worker reported of a job; raises FileNotFoundError where it is not through."""
    report: dict[str, Any] = json.loads((folder / RESULT / REPORT).read_bytes())
    return report


_ID = re.compile(r"(?P<name>.+)-\d{8}-\d{6}-[0-9a-f]{4}")


def is_job_id(text: str) -> bool:
    """Whether a file name has the form of a job's id: ``<name>-<YYYYmmdd-HHMMSS>-<4 hex>``."""
    return _ID.fullmatch(text) is not None


def name_in(job_id: str) -> str:
    """The name that an id begins with."""
    match = _ID.fullmatch(job_id)
    return match["name"] if match else job_id


def now() -> str:
    """The time in UTC as ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
