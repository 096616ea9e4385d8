"""A clip from its video to its result: frame after frame, each from those before it, all with the first's weights."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import storage
from pipeline.errors import EnvironmentFault, JobError
from pipeline.jobs import checkpoint, frames, losses
from pipeline.jobs import clips as clip_jobs
from pipeline.jobs.checkpoint import Checkpoint
from pipeline.jobs.clips import as_rgb
from pipeline.jobs.frames import FrameRow
from pipeline.jobs.parts import Part
from pipeline.jobs.record import Job
from pipeline.manifest.parameters import Parameters
from pipeline.pictures import advice, clips, protection
from pipeline.pictures.clips import Filmed, Levels
from pipeline.worker import inputs
from pipeline.worker.inputs import Inputs
from pipeline.worker.optimizing import Keeping, as_state, optimize
from pipeline.worker.previews import Showing

if TYPE_CHECKING:
    from pipeline.engine.sequence import Frame, Kept
    from pipeline.engine.stylize import Step
    from pipeline.worker.paint import Work

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """A clip that is to be painted.

    Args:
        work: its first frame.
        job: its record.
        sources: the job's folder, where the video is.
        folder: where frames, loss log, checkpoint and result go.
        max_pixels: of a frame.
        checkpoint_seconds: from one checkpoint within a frame to the next.
        should_stop: asked between steps, and between frames.
        valid_with: the fingerprint of what its frames are made with.
        part: of it that is to be painted.
    """

    work: Work
    job: Job
    sources: Path
    folder: Path
    max_pixels: int
    checkpoint_seconds: float
    should_stop: Callable[[], bool]
    valid_with: str
    part: Part

    def paint(self) -> list[FrameRow] | None:
        """Paint the frames that are not there yet; the rows of all, or None when told to stop.

        Raises:
            JobError: one cannot be painted.
        """
        from pipeline.engine.sequence import AGO, Frame

        height, width = self.work.given.photo.rgb.shape[:2]
        part = self.part
        rows = frames.read(self.folder, self.valid_with, (width, height), part.first)
        self._require_room(((part.last or self.job.frames) - part.first + 1 - len(rows)) * height * width * 3)
        there = part.first + len(rows) - 1  # the last of them
        earlier: deque[Frame] = deque(maxlen=max(AGO))
        show = Showing(self.folder)
        with contextlib.ExitStack() as stack:
            loss_log: losses.LossLog | None = None
            origin = 0.0  # of the log's seconds, by the clock
            for number, filmed in enumerate(
                stack.enter_context(clip_jobs.filmed(self.job, self.sources, self.max_pixels)), 1
            ):
                if not part.has(number):
                    if part.is_behind(number):
                        break
                    continue
                photo = as_rgb(clip_jobs.scaled(filmed, self.job, self._parameters.image_size))
                if number <= there:
                    if rows[number - part.first].flicker is None:
                        earlier.clear()
                    if number > there - max(AGO):
                        earlier.append(Frame(photo, as_rgb(frames.picture(self.folder, number))))
                    continue
                frame = self._frame(number, photo, filmed, earlier, rows)
                if loss_log is None:
                    steps = frame.steps_before + (frame.resumed.step if frame.resumed else 0)
                    made = losses.read(self.folder)[:steps]
                    origin = time.perf_counter() - (made[-1].seconds if made else 0.0)
                    loss_log = stack.enter_context(losses.opened(self.folder, keep=steps))
                painted = self._painted(frame, loss_log, time.perf_counter() - origin)
                if painted is None:
                    return None
                row, levels = painted
                frames.save(self.folder, row, levels, self.valid_with)
                rows.append(row)
                show(functools.partial(as_rgb, levels))
                if row.flicker is None:  # another scene
                    earlier.clear()
                earlier.append(Frame(photo, as_rgb(levels)))
        return rows

    def _require_room(self, needed: int) -> None:
        """Make sure that the disk holds the frames: paint hardly shrinks as a PNG.

        Raises:
            EnvironmentFault: it does not.
        """
        free = storage.free_bytes(self.folder)
        if free < needed:
            raise EnvironmentFault(
                f"the frames of {self.job.name} take about {needed / 1e9:.1f} GB in the jobs folder, and"
                f" {free / 1e9:.1f} GB are free.",
                "Make room.",
            )

    @property
    def _parameters(self) -> Parameters:
        return self.work.parameters

    def _frame(
        self, number: int, photo: Any, filmed: Filmed, earlier: deque[Frame], rows: list[FrameRow]
    ) -> _Unpainted:
        """A frame that is to be painted, gone on with where its checkpoint is."""
        from pipeline.engine import sequence

        there = {ago: earlier[-ago] for ago in sequence.AGO if ago <= len(earlier)}
        kept = sequence.kept(photo, there) if there else None
        parameters = clip_jobs.further(self._parameters) if kept else self._parameters
        before = sum(row.steps for row in rows)
        valid_with = checkpoint.fingerprint(clip=self.valid_with, frame=number)
        stages = self.work.session.stylizer.stages(photo.shape[0], photo.shape[1], parameters)
        resumed = self._resumed(valid_with, stages, before)
        given = self.work.given
        if number > 1:
            given = replace(given, content=replace(given.content, rgb=photo), start=kept.start if kept else given.start)
            given = replace(given, protected=self._protected(filmed.levels, photo.shape))
            if self._parameters.denoise:
                content = advice.denoised(photo, float(self._parameters.denoise))
                given = replace(given, content=replace(given.content, rgb=content))
        scene = self.part.scene - 1 + sum(row.flicker is None for row in rows) + (kept is None)
        return _Unpainted(number, float(filmed.time), scene, parameters, given, kept, resumed, valid_with, before)

    def _resumed(self, valid_with: str, stages: checkpoint.Stages, steps_before: int) -> Checkpoint | None:
        """The checkpoint within a frame; None where there is none, or that of another one, as there is as a rule."""
        found = checkpoint.load(self.folder, valid_with, stages)
        # A last step's losses are told with its frame: it is made again.
        if not isinstance(found, Checkpoint) or found.step == stages[-1][0]:
            return None
        return found if len(losses.read(self.folder)) >= steps_before + found.step else None

    def _protected(self, levels: Levels, shape: tuple[int, ...]) -> Any:
        """Where content counts more in a frame: its own faces, or what is protected in all."""
        assert self.job.manifest is not None
        asked = self.job.manifest.parameters
        if asked.protect not in ("auto", "faces"):
            return self.work.given.protected
        side = min(max(asked.image_size, inputs.LEAST_SIDE), inputs.MOST_SIDE)
        found = inputs.faces(as_rgb(clips.scaled(levels, side)))
        boxes = [(box.x, box.y, box.width, box.height) for box in found]
        return protection.ellipses(boxes, shape[0], shape[1]) if boxes else None

    def _painted(self, frame: _Unpainted, loss_log: losses.LossLog, seconds: float) -> tuple[FrameRow, Levels] | None:
        """A frame and what is told of it, so many seconds into the clip; None when told to stop."""
        stylizer = self.work.session.stylizer
        seen: list[Step] = []
        weight = np.float32(self._parameters.temporal_weight)
        anchor = (frame.kept.picture, frame.kept.where * weight) if frame.kept and weight else None
        given = frame.given
        steps = stylizer.run(
            given.content.rgb,
            self.work.styles,
            frame.parameters,
            as_state(frame.resumed),
            given.start,
            given.protected,
            anchor,
        )
        begun = time.perf_counter()
        keeping = Keeping(
            self.folder,
            frame.valid_with,
            self.checkpoint_seconds,
            self.should_stop,
            loss_log,
            frame.steps_before,
            max(0.0, seconds - (frame.resumed.optimize_seconds if frame.resumed else 0.0)),
            frame.number - self.part.first + 1,
        )
        try:
            reached = optimize(_noted(steps, seen), frame.resumed, keeping)
        except JobError as error:
            if frame.resumed is None:
                raise
            # It may be for what stands in the checkpoint; if not, it comes again.
            log.warning("%s: frame %d: %s; starting it over.", self.job.id, frame.number, error)
            return self._painted(replace(frame, resumed=None), loss_log, seconds)
        if reached is None:
            return None
        picture = stylizer.picture(reached[0], frame.parameters)
        levels = np.round(picture * 255.0).astype(np.uint8)
        last = seen[-1]
        row = FrameRow(
            frame=frame.number,
            time=round(frame.time, 6),
            scene=frame.scene,
            steps=reached[0].step,
            total=last.total,
            content=last.content,
            style=last.style,
            total_variation=last.total_variation,
            temporal=last.temporal,
            trusted=round(float(frame.kept.where.mean()), 4) if frame.kept else 0.0,
            flicker=frame.kept.flicker(as_rgb(levels)) if frame.kept else None,
            seconds=round(time.perf_counter() - begun, 4),
        )
        return row, levels


@dataclass(frozen=True)
class _Unpainted:
    """A frame that is to be painted."""

    number: int
    time: float
    scene: int
    parameters: Parameters
    given: Inputs
    kept: Kept | None  # None of a scene's first
    resumed: Checkpoint | None
    valid_with: str
    steps_before: int


def _noted(steps: Iterator[Step], seen: list[Step]) -> Iterator[Step]:
    """The steps as they are, the last of them being kept."""
    for step in steps:
        seen[:] = [step]
        yield step
