"""A clip that several workers paint: where its scenes begin, and one result of the parts when all are painted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from pipeline import storage
from pipeline.errors import JobError
from pipeline.jobs import clips, frames, losses, parts, result, variants
from pipeline.jobs.clips import as_rgb
from pipeline.jobs.frames import FrameRow
from pipeline.jobs.record import Job
from pipeline.jobs.result import Done, Failed, Timing
from pipeline.pictures.images import Picture
from pipeline.worker.encoding import Encoding
from pipeline.worker.inputs import InputLoader
from pipeline.worker.previews import leave_previews
from pipeline.worker.session import Options

LOOK_SECONDS = 60.0  # for cuts; what is behind the frame that is reached then is one part


def look(job: Job, sources: Path, attempt: Path, max_pixels: int, should_stop: Callable[[], bool]) -> bool:
    """Look for the cuts of a clip, as painting it would find them, and make a folder for each part.

    Args:
        job: its record.
        sources: the job's folder.
        attempt: the folder of the attempt.
        max_pixels: of a frame.
        should_stop: asked between frames.

    Returns:
        Whether that is done; if not, it was told to stop.
    """
    from pipeline.engine import sequence

    assert job.manifest is not None, "a job that runs has a manifest"
    begun, before, cuts = time.monotonic(), None, [1]
    with clips.filmed(job, sources, max_pixels) as coming:
        for number, filmed in enumerate(coming, 1):
            if should_stop():
                return False
            photo = as_rgb(clips.scaled(filmed, job, job.manifest.parameters.image_size))
            if before is not None and sequence.is_cut(before, photo):
                cuts.append(number)
            before = photo
            if time.monotonic() - begun > LOOK_SECONDS:
                break
    found = parts.between(cuts, job.frames)
    parts.leave(attempt, found)
    for number in range(1, len(found.parts) + 1):
        storage.ensure_folder(variants.place(attempt, number), within=attempt)
    return True


def join(
    job: Job, sources: Path, attempt: Path, options: Options, loader: InputLoader, should_stop: Callable[[], bool]
) -> bool:
    """Make one result of the parts of a clip; arguments and what is given back as of ``look``.

    Raises:
        JobError: one could not be painted.
    """
    places = [variants.place(attempt, number) for number in range(1, len(parts.read(attempt)) + 1)]
    ended = [result.read(place) for place in places or [variants.place(attempt, variants.SCOUT)]]
    done = [one for one in ended if isinstance(one, Done)]
    if failed := [one.reason for one in ended if isinstance(one, Failed)]:
        raise JobError(failed[0])
    if not places or len(done) < len(ended):
        raise JobError("a part of it is gone from its attempt.", "Try it again.")
    rows = _rows(done)
    for path in (path for place in places for path in frames.files(place)):
        if not storage.is_file(attempt / path.name):
            storage.link_or_copy(path, attempt / path.name)
    _join_logs(attempt, places)
    encoding = Encoding(job, sources, attempt, options.max_pixels, should_stop, done[0].chosen)
    encoded = encoding.files(rows)
    if encoded is None:
        return False
    given = loader.take(sources, job, options.max_pixels)
    given = given.of_photo(Picture(encoded.photo, None))
    leave_previews(attempt, Picture(encoded.picture, None), given, shows_itself=False)
    seconds = sum(one.timing.optimize_seconds for one in done)
    timing = Timing(
        setup_seconds=round(sum(one.timing.setup_seconds for one in done), 4),
        optimize_seconds=round(seconds, 4),
        seconds_per_step=round(seconds / sum(row.steps for row in rows), 6),
    )
    told = {"output": encoded.output, "timing": timing, "frames": [row.model_dump() for row in rows]}
    peaks = {"peak_memory_bytes": max(one.peak_memory_bytes for one in done)}
    result.leave(attempt, done[0].model_copy(update=told | peaks))
    return True


def _rows(done: list[Done]) -> list[FrameRow]:
    try:
        rows = [FrameRow.model_validate(row) for one in done for row in one.frames or []]
    except ValidationError:
        rows = []
    if not rows or [row.frame for row in rows] != list(range(1, len(rows) + 1)):
        raise JobError("what is told of a part of it is damaged.", "Try it again.")
    return rows


def _join_logs(attempt: Path, places: list[Path]) -> None:
    """The loss log of the whole, as if one had painted it."""
    step, frame, seconds = 0, 0, 0.0
    with losses.opened(attempt, keep=0) as log:
        for place in places:
            seen = losses.read(place)
            for loss in seen:
                at = {"step": step + loss.step, "frame": frame + loss.frame, "seconds": seconds + loss.seconds}
                log.write(loss.model_copy(update=at))
            if seen:
                step, frame, seconds = step + seen[-1].step, frame + seen[-1].frame, seconds + seen[-1].seconds
