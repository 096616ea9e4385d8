"""A job's record, ``job.json`` in its folder: what is asked for, of which images, and how often it was tried."""

from __future__ import annotations

import math
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer, model_validator

from pipeline import storage
from pipeline.errors import JobError, short
from pipeline.jobs.fields import Count, FileName, Moment, Name, Sha256, Side, SpoiltError, WrittenPath, read_json
from pipeline.manifest.fields import Model
from pipeline.manifest.model import Manifest
from pipeline.manifest.names import valid_name
from pipeline.pictures.clips import Kind

RECORD = "job.json"
MOST_BYTES = 16 << 20  # of a sweep of thousands
VARIANTS = "variants"  # a folder with a job of its own for each combination of a sweep
MOST_VARIANTS = 100_000  # that are so much as counted, whatever --max-variants was


class RecordError(JobError):
    """A job's record that cannot be used; the sentence says why."""


_ID = re.compile(r"(?P<name>.+)-[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")


def _id(text: str) -> str:
    if not is_job_id(text):
        raise ValueError("must be the id of a job")
    return text


Id = Annotated[str, AfterValidator(_id)]
Priority = Annotated[int, Field(strict=True, ge=-1000, le=1000)]


class JobImage(Model):
    """An image of a job: as the manifest wrote it, the copy's name in the job's folder, and what it is."""

    file: WrittenPath
    stored: FileName
    sha256: Sha256
    width: Side
    height: Side
    frames: Count = 1  # of a clip, those that are to be painted
    kind: Kind = "photo"


def _copies(images: dict[str, JobImage]) -> dict[str, JobImage]:
    for part, image in images.items():
        if image.stored.partition(".")[0] != part:
            raise ValueError(f"{short(image.stored)} is no copy of {short(part)}")
    return images


Images = Annotated[dict[str, JobImage], AfterValidator(_copies)]  # by part


class Job(Model):
    """A job. ``manifest`` is the effective one.

    ``images`` has one for each part that the manifest gives one (see ``Manifest.images``); without any it never ran.
    """

    id: Id
    name: Name
    claimed_at: Moment
    priority: Priority = 0
    manifest: Manifest | None = None
    images: Images = Field(default_factory=dict)
    steps: Count = 0  # in all, of every variant
    attempts: Count = 0
    deaths: Count = 0
    started_at: Moment | None = None
    place: WrittenPath | None = None  # of its photo in the inbox, where that has come into a style folder

    @field_serializer("manifest")
    def _as_asked(self, manifest: Manifest | None) -> dict[str, Any] | None:
        return manifest.effective() if manifest else None

    @model_validator(mode="after")
    def _is_of_one_piece(self) -> Job:
        if self.name != name_in(self.id):
            raise ValueError("`name` is not the one that its id begins with")
        if self.manifest and self.images:
            count = math.prod(map(len, (self.manifest.sweep or {}).values()))
            if count > MOST_VARIANTS:
                raise ValueError(f"`sweep`: {count:,} combinations")
            if not self.manifest.sweep and self.images.keys() != self.manifest.images.keys():
                raise ValueError("`images` are not those of its manifest")
        return self

    @classmethod
    def new(cls, job_id: str, manifest: Manifest, images: dict[str, JobImage], place: str | None = None) -> Job:
        """A job that is asked for now; a print has the `image_size` that its photo makes of it."""
        if not manifest.sweep and "content" in images:
            manifest = manifest.sized(images["content"].width, images["content"].height)
        asked = {"name": manifest.name, "priority": manifest.priority}
        job = cls(id=job_id, claimed_at=now(), manifest=manifest, images=images, place=place, **asked)
        further = (job.frames - 1) * manifest.parameters.frame_steps
        return job.model_copy(update={"steps": manifest.steps + further})

    @property
    def frames(self) -> int:
        """How many pictures its photo stands for: one, or those of a clip."""
        return self.images["content"].frames if "content" in self.images else 1

    @property
    def kind(self) -> Kind:
        """What its photo is."""
        return self.images["content"].kind if "content" in self.images else "photo"

    @property
    def turn(self) -> tuple[int, str, str]:
        """What jobs are sorted by: highest priority first, then in the order of their claims."""
        return -self.priority, self.claimed_at, self.id

    @classmethod
    def load(cls, folder: Path) -> Job:
        """The record in a job's folder.

        Raises:
            FileNotFoundError: there is none.
            RecordError: it is damaged, of another version or of another job, or not ours to read.
        """
        try:
            job = read_json(cls, storage.read(folder / RECORD, MOST_BYTES))
            if job.id != folder.name:
                raise SpoiltError(f"`id`: it is that of {short(job.id)}")
            return job
        except storage.OddError as error:
            said = f"its record is not one of this version of Stylistic ({error.strerror})."
            raise RecordError(said, "Drop it again.") from None
        except PermissionError as error:
            raise RecordError(f"its record {RECORD} cannot be read ({error.strerror}).", "Drop it again.") from None
        except SpoiltError as error:
            said = f"its record is not one of this version of Stylistic ({error})."
            raise RecordError(said, "Drop it again.") from None

    def save(self, folder: Path) -> None:
        """Write the record into the job's folder."""
        storage.write_json(folder / RECORD, self.model_dump(mode="json"))


class Asked(BaseModel):
    """What a job was asked for: all that it takes to do it again."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    manifest: Manifest  # as it was asked for, before anything was chosen for `auto`
    images: Images
    place: WrittenPath | None = None


def new_id(name: str) -> str:
    """An id for a job of this name, which no other job has as far as chance goes."""
    return f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def is_job_id(text: str) -> bool:
    """Whether a file name has the form of a job's id: ``<name>-<YYYYmmdd-HHMMSS>-<4 hex>``, with a name of a job."""
    match = _ID.fullmatch(text)
    try:
        return match is not None and bool(valid_name(match["name"]))
    except ValueError:
        return False


def name_in(job_id: str) -> str:
    """The name that an id begins with."""
    match = _ID.fullmatch(job_id)
    return match["name"] if match else job_id


def now() -> str:
    """The time in UTC as ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
