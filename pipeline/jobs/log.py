"""The log that a job's owner receives, ``<name>.json`` in its result; DESIGN fixes its form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline import storage
from pipeline.jobs import cancel
from pipeline.jobs.fields import (
    Bytes,
    Count,
    Moment,
    Name,
    Sha256,
    Side,
    SpoiltError,
    Text,
    ToldPlain,
    WrittenPath,
    read_json,
)
from pipeline.jobs.losses import Losses
from pipeline.jobs.record import Id, name_in
from pipeline.jobs.result import Engine, Output, Timing

MOST_BYTES = 64 << 20  # half a million steps
MOST_VALUES = 4_000_000  # likewise
MOST_LISTS = 200_000  # and tables: a row for each of a clip's frames, or of a sweep's variants
PICTURES = "pictures"  # in an outbox: the folder of the pictures alone, beside the results


class _Part(BaseModel):
    # A later version may have said more.
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, serialize_by_alias=True)


class JobFacts(_Part):
    """Which job it was, and when; times are UTC in ISO 8601."""

    id: Id
    name: Name
    claimed_at: Moment
    started_at: Moment | None
    finished_at: Moment
    attempts: Count


class Source(_Part):
    """An image that was used: as the manifest wrote it, and what it was."""

    file: WrittenPath
    sha256: Sha256
    width: Side
    height: Side


class Sources(_Part):
    """The images of a job; ``others`` are masks, pictures to start from, and those of a sweep's variants."""

    content: Source | None
    style: list[Source]
    others: list[Source] = Field(default_factory=list)


class Log(_Part):
    """How a job ended, and all that it takes to understand or repeat it."""

    schema_: Annotated[Literal["stylistic.log/1"], Field(alias="schema")] = "stylistic.log/1"
    status: Literal["done", "failed"]
    job: JobFacts
    manifest: dict[str, ToldPlain] | None
    inputs: Sources
    engine: Engine | None
    loss: Losses
    timing: Timing | None
    peak_memory_bytes: Bytes | None
    peak_card_memory_bytes: Bytes | None = None
    output: Output | None
    error: Text | None
    variants: list[dict[str, ToldPlain]] | None = None
    frames: list[dict[str, ToldPlain]] | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether it failed as somebody wished it to."""
        return (self.error or "").startswith(cancel.PREFIX)

    def data(self) -> dict[str, Any]:
        """As plain data; ``variants`` only of a sweep, ``frames`` of a clip."""
        absent = {part for part in ("variants", "frames") if not getattr(self, part)}
        return self.model_dump(mode="json", exclude=absent)


def read(outbox: Path, job_id: str) -> Log | None:
    """The published log of a job; None if nothing is published there, or something that is not ours."""
    try:
        data = storage.read(outbox / job_id / f"{name_in(job_id)}.json", MOST_BYTES)
        if data.count(b",") > MOST_VALUES or data.count(b"[") + data.count(b"{") > MOST_LISTS:
            return None  # of a few bytes each come a hundred in memory
        log = read_json(Log, data)
    except (OSError, SpoiltError):
        return None
    return log if (log.job.id, log.job.name) == (job_id, name_in(job_id)) else None
