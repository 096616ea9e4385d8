"""A painted clip's files: its video, or its folder of frames, and what was filmed for the page."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pipeline import storage
from pipeline.jobs import clips as clip_jobs
from pipeline.jobs import frames, previews, result
from pipeline.jobs.clips import as_rgb
from pipeline.jobs.frames import FrameRow
from pipeline.jobs.record import Job
from pipeline.jobs.result import Output
from pipeline.manifest.parameters import Parameters
from pipeline.pictures import clips, color, mp4, saving, series
from pipeline.pictures.clips import Filmed, Levels
from pipeline.pictures.images import Picture, Rgb
from pipeline.worker.finish import how_it_was_made

FILM_CRF = 26  # of what was filmed, for the page

Made = Callable[[Iterator[Filmed]], Iterator[Filmed]]  # other frames of those that were filmed


class Encoded(NamedTuple):
    """What is told of a result, and its frame in the middle, filmed and painted."""

    output: Output
    photo: Rgb
    picture: Rgb


class _StoppedError(Exception):
    """Somebody has said stop while a file was being written."""


@dataclass(frozen=True)
class Encoding:
    """A clip all frames of which are painted.

    Args:
        job: its record.
        sources: the job's folder, where the video is.
        folder: where its frames are and its files go.
        max_pixels: of a frame.
        should_stop: asked between frames.
        chosen: what `auto` came to, by parameter.
    """

    job: Job
    sources: Path
    folder: Path
    max_pixels: int
    should_stop: Callable[[], bool]
    chosen: dict[str, Any]

    def files(self, rows: list[FrameRow]) -> Encoded | None:
        """Write them; None when told to stop."""
        middle: list[Rgb] = []
        painted = self._painted(rows, middle)
        try:
            if self.job.kind == "series":
                name, digest = self._write_series(painted)
            else:
                film = self.folder / previews.FOLDER / previews.FILM
                self._write(film, self._small, "h264", FILM_CRF, has_sound=False)
                name, digest = self._write_video(painted)
        except _StoppedError:
            return None
        photo, picture = middle
        height, width = picture.shape[:2]
        return Encoded(Output(file=name, width=width, height=height, sha256=digest), photo, picture)

    @property
    def _asked(self) -> Parameters:
        assert self.job.manifest is not None, "a job that runs has a manifest"
        return self.job.manifest.parameters

    def _painted(self, rows: list[FrameRow], middle: list[Rgb]) -> Made:
        asked = self._asked

        def made(coming: Iterator[Filmed]) -> Iterator[Filmed]:
            for row, filmed in zip(rows, coming, strict=True):
                levels, photo = frames.picture(self.folder, row.frame), self._scaled(filmed)
                if asked.color == "content":
                    rgb = color.with_luminance(as_rgb(photo), as_rgb(levels))
                    levels = np.round(np.clip(rgb, 0.0, 1.0) * 255.0).astype(np.uint8)
                if row.frame == (len(rows) + 1) // 2:
                    middle[:] = [as_rgb(photo), as_rgb(levels)]
                yield filmed._replace(levels=levels)

        return made

    def _small(self, coming: Iterator[Filmed]) -> Iterator[Filmed]:
        side = min(self._asked.image_size, previews.SIDES["film"])
        return (filmed._replace(levels=clips.scaled(filmed.levels, side)) for filmed in coming)

    def _scaled(self, filmed: Filmed) -> Levels:
        return clip_jobs.scaled(filmed, self.job, self._asked.image_size)

    def _filmed(self) -> contextlib.AbstractContextManager[Iterator[Filmed]]:
        return clip_jobs.filmed(self.job, self.sources, self.max_pixels)

    def _write_video(self, painted: Made) -> tuple[str, str]:
        """The result as a video; its name and its SHA-256."""
        asked, path = self._asked, self.folder / result.RESULT / f"{self.job.name}{clip_jobs.SUFFIX}"
        told = how_it_was_made(self.job, self.chosen).xmp()
        has_sound = self.job.kind == "video"
        self._write(path, painted, asked.video_codec, asked.crf, has_sound, told)
        with storage.open_file(path) as written:
            return path.name, storage.at_once(storage.digest_of(written))

    def _write_series(self, painted: Made) -> tuple[str, str]:
        """The result as a folder of frames with the source's numbers; its name, and one SHA-256 of theirs."""
        asked, content, digest = self._asked, self.job.images["content"], hashlib.sha256()
        told = how_it_was_made(self.job, self.chosen)
        place, suffix = self.folder / result.SERIES, saving.SUFFIXES[asked.output_format]
        storage.ensure_folder(place)
        with storage.open_file(self.sources / content.stored) as file, self._filmed() as filmed:
            for number, frame in zip(
                series.numbers(file, content.file), painted(self._unless_stopped(filmed)), strict=True
            ):
                alpha = frame.alpha
                if alpha is not None and alpha.shape != frame.levels.shape[:2]:
                    alpha = np.asarray(Image.fromarray(alpha).resize(frame.levels.shape[1::-1]))
                picture = Picture(as_rgb(frame.levels), alpha)
                data = saving.encode(picture, asked.output_format, asked.output_depth, told)
                storage.write_atomic(place / f"{number}{suffix}", data)
                digest.update(hashlib.sha256(data).digest())
        return f"{self.job.name}{result.SERIES_SUFFIX}", digest.hexdigest()

    def _write(
        self,
        path: Path,
        made: Made,
        codec: str,
        crf: int,
        has_sound: bool,
        xmp: bytes = b"",
    ) -> None:
        """Write a video that is made of the frames, under a dot-name first."""
        content = self.job.images["content"]
        draft = path.with_name(f".{path.name}")
        storage.ensure_folder(path.parent)
        storage.remove_file(draft)
        with contextlib.ExitStack() as stack:
            coming = made(self._unless_stopped(stack.enter_context(self._filmed())))
            source = stack.enter_context(storage.open_file(self.sources / content.stored))
            rate = clips.rate(source, content.file) if self.job.kind == "video" else clips.ORDINARY_RATE
            file = stack.enter_context(storage.create(draft))
            mp4.write(file, coming, rate, codec, crf, source if has_sound else None, content.file, xmp)
            file.flush()
            os.fsync(file.fileno())
        storage.move(draft, path)

    def _unless_stopped(self, coming: Iterator[Filmed]) -> Iterator[Filmed]:
        for filmed in coming:
            if self.should_stop():
                raise _StoppedError
            yield filmed
