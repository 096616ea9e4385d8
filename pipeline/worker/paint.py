"""One picture from its images to its result, in steps that are logged and checkpointed."""

from __future__ import annotations

import importlib.metadata
import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import JobError
from pipeline.forecast.paces import Paces
from pipeline.forecast.work import paintings_of
from pipeline.jobs import checkpoint, clips, losses, result, snapshots
from pipeline.jobs.checkpoint import Checkpoint
from pipeline.jobs.losses import Loss
from pipeline.jobs.narrow import too_narrow
from pipeline.jobs.record import Job
from pipeline.jobs.result import Done, Engine, Output, Timing, WeightsUsed
from pipeline.manifest.parameters import Parameters, changes
from pipeline.pictures.images import Picture
from pipeline.worker import card, memory
from pipeline.worker.clip import Clip
from pipeline.worker.finish import Finish, photographed
from pipeline.worker.fitting import require_memory
from pipeline.worker.inputs import InputLoader, Inputs
from pipeline.worker.optimizing import Keeping, as_state, optimize
from pipeline.worker.previews import leave_painter, leave_previews, previewed
from pipeline.worker.session import Options, Session, gpus, open_session

if TYPE_CHECKING:
    from pipeline.engine.stylize import State, Step
    from pipeline.engine.targets import Style

log = logging.getLogger(__name__)

PEAKS = ("peak_memory_bytes", "peak_card_memory_bytes")

_has_painted = False  # this process; its first picture waits for TensorFlow, graphs and kernels


@dataclass(frozen=True)
class Work:
    """A picture that is to be painted: with what engine, of what, and how.

    Args:
        session: the engine.
        given: the images.
        styles: those of the paintings, as the engine takes them.
        parameters: with a value for every `auto`.
        chosen: these values, by name.
    """

    session: Session
    given: Inputs
    styles: list[Style]
    parameters: Parameters
    chosen: dict[str, Any]

    @classmethod
    def settled(cls, session: Session, given: Inputs, parameters: Parameters) -> Work:
        """With what `auto` comes to for these images; errors as ``Stylizer.settled``."""
        from pipeline.engine.targets import Style

        styles = [Style(*style) for style in given.styles]
        asked = parameters.model_copy(update=given.chosen)
        settled = session.stylizer.settled(given.content.rgb, styles, asked)
        return cls(session, given, styles, settled, changes(parameters, settled))

    @property
    def finish(self) -> Finish:
        """How its states become pictures."""
        return Finish(self.given.photo, self.parameters, self.session.stylizer)

    def steps(self, resume: State | None = None) -> Iterator[Step]:
        """As ``Stylizer.run``."""
        given, stylizer = self.given, self.session.stylizer
        return stylizer.run(given.content.rgb, self.styles, self.parameters, resume, given.start, given.protected)


def paint(
    job: Job,
    sources: Path,
    folder: Path,
    options: Options,
    loader: InputLoader,
    should_stop: Callable[[], bool],
    upcoming: Path | None = None,
) -> bool:
    """Paint the picture of a job, or go on with it, and leave it in a folder.

    Args:
        job: its record; no sweep.
        sources: the job's folder, where its images are.
        folder: where its loss log, checkpoint and result go.
        options: the runner's.
        loader: of its images.
        should_stop: asked between steps.
        upcoming: a queued job's folder, whose images are decoded meanwhile.

    Returns:
        Whether it is done; if not, it was told to stop and has left a checkpoint.

    Raises:
        JobError: it cannot be painted.
        EnvironmentFault: nothing can be, here and now.
    """
    started = time.perf_counter()
    memory.reset_peak()
    assert job.manifest is not None, "a job that runs has a manifest"
    parameters = job.manifest.parameters
    session = open_session(options, parameters.precision)
    on_card = bool(gpus(options.device))
    if on_card:
        card.reset_peak()
    leave_painter(folder, session)
    if narrow := too_narrow(job.manifest, {image.file: (image.width, image.height) for image in job.images.values()}):
        raise JobError(narrow)
    room = require_memory(job, parameters, session, options)
    given = loader.take(sources, job, options.max_pixels)
    work = Work.settled(session, given, parameters)
    parameters, finish = work.parameters, work.finish
    if upcoming is not None:
        loader.load_ahead(upcoming, options.max_pixels, room)
    valid_with = _fingerprint(job, parameters, session)
    if clips.is_clip(job.manifest):
        done_before = len(losses.read(folder))
        chosen = {name: value for name, value in work.chosen.items() if name != "protect"}  # each frame has its own
        clip = Clip(work, job, sources, folder, options.max_pixels, options.checkpoint_seconds, should_stop, valid_with)
        painted = _clip_painted(clip, time.perf_counter() - started, chosen)
        if painted is None:
            return False
        peaks = memory.peak(), card.peak() if on_card else None
        result.leave(folder, painted.model_copy(update=dict(zip(PEAKS, peaks, strict=True))))
        _note(options, session, job, losses.read(folder), done_before, time.perf_counter() - started)
        return True
    height, width = given.content.rgb.shape[:2]
    stages = session.stylizer.stages(height, width, parameters)
    resumed = _resume(folder, job, valid_with, stages, parameters.steps_per_frame)
    setup_seconds = time.perf_counter() - started

    reached = _optimized(work, job, folder, resumed, valid_with, options.checkpoint_seconds, should_stop)
    if reached is None:
        return False
    state, optimize_seconds = reached
    picture = finish.picture(state)
    output, files = finish.files(picture, sources, folder, job, work.chosen)
    peaks = memory.peak(), card.peak() if on_card else None
    done = _done(session, setup_seconds, optimize_seconds, state.step, work.chosen, output, peaks)
    leave_previews(folder, picture, given, shows_itself=parameters.output_format != "tiff")
    result.leave(folder, done, files)
    _note(options, session, job, losses.read(folder), resumed.step if resumed else 0, time.perf_counter() - started)
    return True


def _note(options: Options, session: Session, job: Job, seen: list[Loss], done_before: int, seconds: float) -> None:
    """Keep what a picture took, of this process's first with all that went before it."""
    global _has_painted
    is_first, _has_painted = not _has_painted, True
    if is_first and job.started_at:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(job.started_at)).total_seconds()
    for painting in paintings_of(job, {1: done_before}):  # one, unless its record is odd
        Paces(options.paces, options.device).note(session.device, painting, seen, seconds, is_first)


def _optimized(
    work: Work,
    job: Job,
    folder: Path,
    resumed: Checkpoint | None,
    valid_with: str,
    checkpoint_seconds: float,
    should_stop: Callable[[], bool],
) -> tuple[State, float] | None:
    """As ``optimize``, showing the picture on the way; once more from the start where going on does not end well."""
    finish = work.finish
    steps = photographed(work.steps(as_state(resumed)), folder, work.parameters.steps_per_frame, finish)
    steps = previewed(steps, folder, lambda state: finish.picture(state).rgb)
    try:
        with losses.opened(folder, keep=resumed.step if resumed else 0) as loss_log:
            keeping = Keeping(folder, valid_with, checkpoint_seconds, should_stop, loss_log)
            return optimize(steps, resumed, keeping)
    except JobError as error:
        if resumed is None:
            raise
        # It may be for what stands in the checkpoint; if not, it comes again.
        log.warning("%s: %s; starting over.", job.id, error)
        snapshots.cut(folder, after=0)
    return _optimized(work, job, folder, None, valid_with, checkpoint_seconds, should_stop)


def _clip_painted(clip: Clip, setup_seconds: float, chosen: dict[str, Any]) -> Done | None:
    """Paint a clip, and write its file and its previews; None when told to stop."""
    rows = clip.paint()
    encoded = clip.encode(rows) if rows else None
    if rows is None or encoded is None:
        return None
    output, photo, picture = encoded
    given = replace(clip.work.given, photo=Picture(photo, None))
    leave_previews(clip.folder, Picture(picture, None), given, shows_itself=False)
    seconds, steps = sum(row.seconds for row in rows), sum(row.steps for row in rows)
    done = _done(clip.work.session, setup_seconds, seconds, steps, chosen, output, (0, None))
    return done.model_copy(update={"frames": [row.model_dump() for row in rows]})


def _done(
    session: Session,
    setup_seconds: float,
    optimize_seconds: float,
    steps: int,
    chosen: dict[str, Any],
    output: Output,
    peaks: tuple[int, int | None],
) -> Done:
    engine = Engine(
        host=socket.gethostname(),
        tensorflow=importlib.metadata.version("tensorflow"),
        device=session.device,
        precision=session.precision,
        weights=WeightsUsed(source=session.weights.source, sha256=session.weights.sha256),
    )
    timing = Timing(
        setup_seconds=round(setup_seconds, 4),
        optimize_seconds=round(optimize_seconds, 4),
        seconds_per_step=round(optimize_seconds / steps, 6),
    )
    of_machine, of_card = peaks
    return Done(
        engine=engine,
        timing=timing,
        peak_memory_bytes=of_machine,
        peak_card_memory_bytes=of_card,
        chosen=chosen,
        output=output,
    )


def _fingerprint(job: Job, parameters: Parameters, session: Session) -> str:
    return checkpoint.fingerprint(
        parameters=parameters.model_dump(mode="json"),
        inputs={part: image.sha256 for part, image in job.images.items()},
        weights=session.weights.sha256,
        precision=session.precision,
        stylistic=importlib.metadata.version("stylistic"),
        tensorflow=importlib.metadata.version("tensorflow"),
    )


def _resume(
    folder: Path, job: Job, valid_with: str, stages: checkpoint.Stages, steps_per_frame: int
) -> Checkpoint | None:
    """The checkpoint to go on from, if there is one; snapshots of later steps are gone then."""
    found = checkpoint.load(folder, valid_with, stages)
    if isinstance(found, Checkpoint) and len(losses.read(folder)) < found.step:
        found = "the loss log ends before the checkpoint"
    if isinstance(found, Checkpoint) and not snapshots.are_whole(folder, steps_per_frame, found.step):
        found = "a snapshot from before the checkpoint is gone"
    if isinstance(found, str):
        log.warning("%s: %s; starting over.", job.id, found)
        found = None
    snapshots.cut(folder, after=found.step if found else 0)
    return found
