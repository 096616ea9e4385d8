"""Clips: jobs whose photo is a video, all frames of which are painted."""

from __future__ import annotations

import bisect
import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline import storage
from pipeline.errors import ImageError
from pipeline.jobs.record import Job
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.parameters import Parameters
from pipeline.pictures import animations, clips, images, series, suffixes
from pipeline.pictures.clips import Film, Filmed, Levels
from pipeline.pictures.images import Picture, Rgb

LONGEST_SIDE = 16_000  # pixels; encoders of films and OpenCV's moving of frames take little more
LEAST_H265_SIDE = 16  # pixels that x265 codes
SUFFIX = ".mp4"  # of a result's file
KINDS = {"photo": "a photo", "video": "a video", "animation": "an animation", "series": "a folder of frames"}


class TooLongError(ImageError):
    """A clip of more ``frames`` than are painted, of ``limit``."""

    def __init__(self, name: str, frames: int, limit: int, is_video: bool, told: str = "") -> None:
        part = "Name a part of it by `start` and `end`, in seconds" if is_video else "Leave some of them out"
        super().__init__(
            f"{name}: {told or f'{frames:,} frames'}; the limit is {limit:,} (--max-frames).",
            f"{part}, or raise the limit.",
        )
        self.frames, self.limit, self.is_video = frames, limit, is_video


def verify(
    file: BinaryIO, name: str, max_pixels: int, end_may_lack: bool = False, may_be_animated: bool = False
) -> Film:
    """``images.verify``, of a video too, and on request of all frames of an animation."""
    if suffixes.is_video(name):
        return clips.verify(file, name, max_pixels)
    if may_be_animated and animations.is_named_like_one(name):
        return animations.verify(file, name, max_pixels)
    return Film(*images.verify(file, name, max_pixels, end_may_lack))


def frames(manifest: Manifest, film: Film, limits: Limits) -> int:
    """How many frames of a manifest's `content` are painted: one of a photo, of a video those between its times.

    Raises:
        TooLongError: there are too many.
        ImageError: there are none, or what is asked for cannot be of a clip.
    """
    name = manifest.content
    others = [path for part, path in manifest.images.items() if part != "content" and suffixes.is_video(path)]
    if others:
        raise ImageError(f"{others[0]}: a video.", "Only `content` may be one.")
    if film.kind != "video" and (manifest.start is not None or manifest.end is not None):
        raise ImageError(f"{name}: {KINDS[film.kind]}; `start` and `end` are of a video.", "Leave them out.")
    if film.kind == "photo":
        return 1
    if package := clips.missing():
        raise ImageError(f"{name}: clips take {package}, which is not installed.", f"`{clips.INSTALL}`")
    if manifest.sweep:
        raise ImageError(f"{name}: {KINDS[film.kind]}; a sweep is of photos.", "Drop a job for each variant.")
    parameters = manifest.parameters
    if parameters.snapshots or parameters.timelapse or parameters.print:
        raise ImageError(
            f"{name}: {KINDS[film.kind]}; `print`, `snapshots` and `timelapse` are of photos.", "Leave them out."
        )
    if parameters.image_size > LONGEST_SIDE:
        asked = f"{KINDS[film.kind]}; the frames of one have at most {LONGEST_SIDE:,} pixels on their long side"
        raise ImageError(f"{name}: {asked}, not {parameters.image_size:,}.", "Lower image_size.")
    sides = clips.scaled_size(film.width, film.height, parameters.image_size)
    if film.kind != "series" and parameters.video_codec == "h265" and min(sides) < LEAST_H265_SIDE:
        asked = f"{sides[0]:,}×{sides[1]:,} pixels at `image_size: {parameters.image_size}`"
        raise ImageError(
            f"{name}: {asked}; `video_codec: h265` takes {LEAST_H265_SIDE} at least.", "Say h264, or raise image_size."
        )
    count = _between(film, manifest.start, manifest.end, name) if film.kind == "video" else film.frames
    if count > limits.max_frames:
        raise TooLongError(name, count, limits.max_frames, film.kind == "video")
    each = parameters.frame_steps
    steps = manifest.steps + (count - 1) * each
    if steps > limits.max_steps:
        asked = f"{count:,} frames of {each:,} steps (`frame_steps`) are {steps:,} in all"
        raise ImageError(f"{name}: {asked}; the limit is {limits.max_steps:,} (--max-steps).")
    return count


def _between(film: Film, start: float | None, end: float | None, name: str) -> int:
    """How many frames of a video are shown from one time to another, in seconds."""
    times = film.times
    first = 0 if start is None else bisect.bisect_left(times, float(clips.moment(start)))
    behind = len(times) if end is None else bisect.bisect_left(times, float(clips.moment(end)))
    if behind > first:
        return behind - first
    if first == len(times):
        raise ImageError(f"{name}: is {film.seconds:.1f} s long; `start: {start:g}` is behind its end.")
    raise ImageError(f"{name}: no frame of it is between `start` and `end`.", "Leave more of it.")


def frames_of(file: BinaryIO, job: Job, max_pixels: int) -> Iterator[Filmed]:
    """The frames that a clip's job asks for, as they were filmed.

    Raises:
        ImageError: there are more than were counted, for which room and time were asked.
    """
    assert job.manifest is not None, "a job that runs has a manifest"
    name, kind = job.manifest.content, job.kind
    if kind == "series":
        return series.frames_of(file, name, max_pixels)
    if kind == "animation":
        return animations.frames_of(file, name, max_pixels)
    asked_for = clips.frames_of(file, name, max_pixels, None, job.manifest.start, job.manifest.end)
    return _counted(asked_for, job.frames, name)


def _counted(coming: Iterator[Filmed], count: int, name: str) -> Iterator[Filmed]:
    yield from itertools.islice(coming, count)
    if next(coming, None) is not None:
        raise ImageError(f"{name}: has more than the {count:,} frames that were counted.", "Drop it again.")


@contextlib.contextmanager
def filmed(job: Job, sources: Path, max_pixels: int) -> Iterator[Iterator[Filmed]]:
    """``frames_of`` a job, from its folder."""
    with storage.open_file(sources / job.images["content"].stored) as file:
        yield frames_of(file, job, max_pixels)


def scaled(filmed: Filmed, job: Job, long_side: int) -> Levels:
    """A frame of a job at a size; both sides are even where it becomes one of a video."""
    return clips.scaled(filmed.levels, long_side, to=1 if job.kind == "series" else 2)


def first_frame(file: BinaryIO, job: Job, long_side: int, max_pixels: int) -> Picture:
    """The first frame that is painted, at a size.

    Raises:
        ImageError: there is none.
    """
    found = next(frames_of(file, job, max_pixels), None)
    if found is None:
        raise ImageError(f"{job.images['content'].file}: no frame between `start` and `end`.", "Leave more of it.")
    return Picture(as_rgb(scaled(found, job, long_side)), None)


def as_rgb(levels: Levels) -> Rgb:
    """Float32 in [0, 1] of uint8."""
    return levels.astype(np.float32) / np.float32(255.0)


def further(parameters: Parameters) -> Parameters:
    """Settled parameters as they are for a frame that goes on from the one before it."""
    return parameters.model_copy(update={"pyramid": "off", "epochs": 1, "steps_per_epoch": parameters.frame_steps})
