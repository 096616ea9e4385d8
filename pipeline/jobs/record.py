"""A job's record, ``job.json`` in its folder: what is asked for, of which images, and how often it was tried."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import storage
from pipeline.errors import JobError
from pipeline.manifest.model import Manifest
from pipeline.manifest.parameters import Model

RECORD = "job.json"
MOST_BYTES = 16 << 20  # of a sweep of thousands
VARIANTS = "variants"  # a folder with a job of its own for each combination of a sweep


class RecordError(JobError):
    """A job's record that cannot be used; the sentence says why."""


class JobImage(Model):
    """An image of a job: as the manifest wrote it, the copy's name in the job's folder, and what it is."""

    file: str
    stored: str
    sha256: str
    width: int
    height: int


class Job(Model):
    """A job. ``manifest`` is the effective one.

    ``images`` has one for each part that the manifest gives one (see ``Manifest.images``); without any it never ran.
    """

    id: str
    name: str
    claimed_at: str
    priority: int = 0
    manifest: Manifest | None = None
    images: dict[str, JobImage] = Field(default_factory=dict)
    steps: int = 0  # in all, of every variant
    attempts: int = 0
    deaths: int = 0
    started_at: str | None = None

    @classmethod
    def new(cls, job_id: str, manifest: Manifest, images: dict[str, JobImage]) -> Job:
        """A job that is asked for now."""
        asked = {"name": manifest.name, "priority": manifest.priority, "steps": manifest.steps}
        return cls(id=job_id, claimed_at=now(), manifest=manifest, images=images, **asked)

    @property
    def turn(self) -> tuple[int, str, str]:
        """What jobs are sorted by: highest priority first, then in the order of their claims."""
        return -self.priority, self.claimed_at, self.id

    @classmethod
    def load(cls, folder: Path) -> Job:
        """The record in a job's folder.

        Raises:
            FileNotFoundError: there is none.
            RecordError: it is damaged, of another version, or not ours to read.
        """
        try:
            return cls.model_validate_json(storage.read(folder / RECORD, MOST_BYTES))
        except storage.OddError as error:
            raise RecordError(
                f"its record is not one of this version of Stylistic ({error.strerror}).", "Drop it again."
            ) from None
        except PermissionError as error:
            raise RecordError(f"its record {RECORD} cannot be read ({error.strerror}).", "Drop it again.") from None
        except ValidationError as error:
            problems = "; ".join(
                f"`{'.'.join(map(str, p['loc'])).removeprefix('manifest.')}`: {p['msg']}" for p in error.errors()
            )
            raise RecordError(
                f"its record is not one of this version of Stylistic ({problems}).", "Drop it again."
            ) from None

    def save(self, folder: Path) -> None:
        """Write the record into the job's folder."""
        storage.write_json(folder / RECORD, self.model_dump(mode="json"))


class Asked(BaseModel):
    """What a job was asked for: all that it takes to do it again."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    manifest: Manifest  # as it was asked for, before anything was chosen for `auto`
    images: dict[str, JobImage]


_ID = re.compile(r"(?P<name>.+)-\d{8}-\d{6}-[0-9a-f]{4}")


def new_id(name: str) -> str:
    """An id for a job of this name, which no other job has as far as chance goes."""
    return f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


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
