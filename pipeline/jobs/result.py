"""What a worker leaves of a job for publishing: files in ``result/``, and a report that says how it ended."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from pipeline import storage
from pipeline.jobs.fields import Bytes, FileName, Plain, Seconds, Sha256, Side, SpoiltError, Text, parsed
from pipeline.manifest.fields import Model

RESULT = "result"
SERIES = "series"  # the folder of a result that is one of frames, beside
REPORT = "result.json"
MOST_HASHED = 64 << 20  # bytes of a picture, which the runner reads at once
SERIES_SUFFIX, PART_SUFFIX = ".frames", ".part"  # of what a folder of frames, and a part of a clip, is called
OF_FRAMES = (SERIES_SUFFIX, PART_SUFFIX)
MOST_BYTES = 16 << 20  # of the report of a sweep of thousands


class WeightsUsed(Model):
    """Where the kernels came from."""

    source: Text
    sha256: Sha256


class Engine(Model):
    """What painted."""

    host: Text = ""
    tensorflow: Text
    device: Text
    precision: Text
    weights: WeightsUsed


class Timing(Model):
    """Seconds; of a sweep those of all its variants."""

    setup_seconds: Seconds
    optimize_seconds: Seconds
    seconds_per_step: Seconds


class Output(Model):
    """The picture's file, its size in pixels and its digest."""

    file: FileName
    width: Side
    height: Side
    sha256: Sha256

    @classmethod
    def of(cls, file: str, width: int, height: int, encoded: bytes) -> Output:
        """Of a picture that has been encoded."""
        return cls(file=file, width=width, height=height, sha256=hashlib.sha256(encoded).hexdigest())


class Done(Model):
    """A job that has a picture."""

    status: Literal["done"] = "done"
    engine: Engine
    timing: Timing
    peak_memory_bytes: Bytes
    peak_card_memory_bytes: Bytes | None = None  # on a GPU
    chosen: dict[str, Plain] = Field(default_factory=dict)  # what `auto` came to, by parameter
    output: Output
    variants: list[dict[str, Plain]] | None = None  # of a sweep, a row of its table for each
    frames: list[dict[str, Plain]] | None = None  # of a clip, a ``FrameRow`` for each


class Failed(Model):
    """A job that never will have one, and why, in words."""

    status: Literal["failed"] = "failed"
    reason: Text


Result = Done | Failed
_REPORT: TypeAdapter[Result] = TypeAdapter(Annotated[Result, Field(discriminator="status")])


def leave(folder: Path, result: Result, files: dict[str, bytes] | None = None) -> None:
    """Write files into a job's folder and, when they are safe, the report that says that the job is through."""
    place = folder / RESULT
    storage.ensure_folder(place)
    for name, data in (files or {}).items():
        storage.write_atomic(place / name, data)
    storage.write_json(place / REPORT, result.model_dump(mode="json"))


def read(folder: Path) -> Result | None:
    """How a job ended; None where its worker is not through, or the report is damaged: the job then goes on."""
    try:
        return parsed(_REPORT.validate_python, storage.read(folder / RESULT / REPORT, MOST_BYTES))
    except SpoiltError:
        return None
    except OSError as error:
        if storage.is_of_entry(error):
            return None
        raise


def is_whole(folder: Path, result: Result) -> bool:
    """Whether the picture that a report tells of is there, to its last bit where that is soon read; what goes by its
    frames has none."""
    if isinstance(result, Failed) or Path(result.output.file).suffix in OF_FRAMES:
        return True
    try:
        with storage.open_file(folder / RESULT / result.output.file) as file:
            if os.fstat(file.fileno()).st_size > MOST_HASHED:
                return True
            return storage.at_once(storage.digest_of(file)) == result.output.sha256
    except OSError as error:
        if storage.is_of_entry(error):
            return False
        raise


def files(folder: Path) -> list[Path]:
    """What is to be published."""
    paths = [folder / RESULT / name for name in storage.names(folder / RESULT)]
    return [path for path in paths if path.name != REPORT and not path.name.startswith(".")]


@dataclass(frozen=True)
class Outcome:
    """How a run of a job came to its end.

    ``through``: there is a result. ``stopped``: with a checkpoint, to go on later. ``died``: its process is gone.
    ``fault``: the environment's, with the reason in words; nobody is to blame. ``lost``: the attempt does not count any
    more, or nobody can tell how it is; nobody is to blame either.
    """

    kind: Literal["through", "stopped", "died", "fault", "lost"]
    reason: str = ""
