"""One picture from its images to its result, in steps that are logged and checkpointed."""

from __future__ import annotations

import importlib.metadata
import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import JobError
from pipeline.forecast.paces import Paces
from pipeline.forecast.work import paintings_of
from pipeline.jobs import checkpoint, losses, result, snapshots
from pipeline.jobs.checkpoint import Checkpoint
from pipeline.jobs.parts import Part
from pipeline.jobs.previews import LIVE_SIDE
from pipeline.jobs.record import Job
from pipeline.jobs.result import Done, Engine, Output, Timing, WeightsUsed
from pipeline.manifest.parameters import Parameters, changes
from pipeline.pictures.images import Picture
from pipeline.worker import card, memory
from pipeline.worker.clip import Clip
from pipeline.worker.encoding import Encoding
from pipeline.worker.finish import Finish, photographed
from pipeline.worker.fitting import require_disk, require_fitting
from pipeline.worker.inputs import InputLoader, Inputs
from pipeline.worker.optimizing import Keeping, as_state, optimize
from pipeline.worker.previews import leave_painter, leave_previews, previewed
from pipeline.worker.session import Options, Session, gpus, open_session

if TYPE_CHECKING:
    from pipeline.engine.stylize import State, Step
    from pipeline.engine.targets import Style

log = logging.getLogger(__name__)

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
    part: Part | None = None,
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
        part: of a clip that is to be painted alone; None for all of it, or a photo.

    Returns:
        Whether it is done; if not, it was told to stop and has left a checkpoint.

    Raises:
        JobError: it cannot be painted.
        EnvironmentFault: nothing can be, here and now.
    """
    started = time.perf_counter()
    memory.reset_peak()
    assert job.manifest is not None, "a job that runs has a manifest"
    session = open_session(options, job.manifest.parameters.precision)
    on_card = bool(gpus(options.device))
    if on_card:
        card.reset_peak()
    leave_painter(folder, session)
    for painting in paintings_of(job) if job.kind == "photo" else []:  # one, and a clip reckons with its frames
        require_disk(painting, folder)
    work = _prepared(job, sources, session, options, loader, upcoming)
    valid_with = _fingerprint(job, work.parameters, session)
    run = _Run(work, job, sources, folder, options, should_stop, valid_with, started, part)
    painted = _clip_painted(run) if job.kind != "photo" else _photo_painted(run)
    if painted is None:
        return False
    peaks = {"peak_memory_bytes": memory.peak(), "peak_card_memory_bytes": card.peak() if on_card else None}
    result.leave(folder, painted.done.model_copy(update=peaks), painted.files)
    _note(run, painted.steps_before)
    return True


class _Run(NamedTuple):
    """A job in the hands of this process: its picture or its first frame, and what ``paint`` was given."""

    work: Work
    job: Job
    sources: Path
    folder: Path
    options: Options
    should_stop: Callable[[], bool]
    valid_with: str
    started: float  # of ``time.perf_counter``
    part: Part | None


class _Painted(NamedTuple):
    done: Done  # without the memory that was taken
    files: dict[str, bytes]  # of the result, beside those that are there
    steps_before: int  # which another process had made


def _prepared(
    job: Job, sources: Path, session: Session, options: Options, loader: InputLoader, upcoming: Path | None
) -> Work:
    """A job's images, if it can be painted here, and what `auto` comes to; the next job's are decoded meanwhile."""
    assert job.manifest is not None, "a job that runs has a manifest"
    room = require_fitting(job, session.precision, options)
    given = loader.take(sources, job, options.max_pixels)
    work = Work.settled(session, given, job.manifest.parameters)
    if upcoming is not None:
        loader.load_ahead(upcoming, options.max_pixels, room)
    return work


def _photo_painted(run: _Run) -> _Painted | None:
    """Paint a photo, and write its previews; None when told to stop."""
    work, folder = run.work, run.folder
    height, width = work.given.content.rgb.shape[:2]
    stages = work.session.stylizer.stages(height, width, work.parameters)
    resumed = _resume(folder, run.job, run.valid_with, stages, work.parameters.steps_per_frame)
    setup_seconds = time.perf_counter() - run.started
    reached = _optimized(run, resumed)
    if reached is None:
        return None
    state, optimize_seconds = reached
    picture = work.finish.picture(state)
    output, files = work.finish.files(picture, run.sources, folder, run.job, work.chosen)
    leave_previews(folder, picture, work.given, shows_itself=work.parameters.output_format != "tiff")
    done = _done(work.session, setup_seconds, optimize_seconds, state.step, work.chosen, output)
    return _Painted(done, files, resumed.step if resumed else 0)


def _clip_painted(run: _Run) -> _Painted | None:
    """Paint a clip, and write its file and its previews; None when told to stop."""
    work, options = run.work, run.options
    steps_before = len(losses.read(run.folder))
    setup_seconds = time.perf_counter() - run.started
    clip = Clip(
        work,
        run.job,
        run.sources,
        run.folder,
        options.max_pixels,
        options.checkpoint_seconds,
        run.should_stop,
        run.valid_with,
        run.part or Part(),
    )
    rows = clip.paint()
    chosen = {name: value for name, value in work.chosen.items() if name != "protect"}  # each frame has its own faces
    if run.part and rows is not None:  # whoever has all of them makes a file of them
        height, width = work.given.photo.rgb.shape[:2]
        output = Output.of(run.job.name + result.PART_SUFFIX, width, height, b"")
    else:
        encoding = Encoding(run.job, run.sources, run.folder, options.max_pixels, run.should_stop, chosen)
        encoded = encoding.files(rows) if rows else None
        if rows is None or encoded is None:
            return None
        output, given = encoded.output, work.given.of_photo(Picture(encoded.photo, None))
        leave_previews(run.folder, Picture(encoded.picture, None), given, shows_itself=False)
    seconds, steps = sum(row.seconds for row in rows), sum(row.steps for row in rows)
    done = _done(work.session, setup_seconds, seconds, steps, chosen, output)
    done = done.model_copy(update={"frames": [row.model_dump() for row in rows]})
    return _Painted(done, {}, steps_before)


def _note(run: _Run, steps_before: int) -> None:
    """Keep what a picture took, of this process's first with all that went before it."""
    global _has_painted
    seconds = time.perf_counter() - run.started
    is_first, _has_painted = not _has_painted and run.part is None, True
    if is_first and run.job.started_at:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(run.job.started_at)).total_seconds()
    paces, seen = Paces(run.options.paces, run.options.device), losses.read(run.folder)
    for painting in paintings_of(run.job, {1: steps_before}):  # one, unless its record is odd
        session = run.work.session
        paces.note(session.device, session.precision, painting, seen, seconds, is_first)


def _optimized(run: _Run, resumed: Checkpoint | None) -> tuple[State, float] | None:
    """As ``optimize``, showing the picture on the way; once more from the start where going on does not end well."""
    work, folder = run.work, run.folder
    steps = photographed(work.steps(as_state(resumed)), folder, work.parameters.steps_per_frame, work.finish)
    steps = previewed(steps, folder, lambda state: work.finish.small(state, LIVE_SIDE))
    try:
        with losses.opened(folder, keep=resumed.step if resumed else 0) as loss_log:
            keeping = Keeping(folder, run.valid_with, run.options.checkpoint_seconds, run.should_stop, loss_log)
            return optimize(steps, resumed, keeping)
    except JobError as error:
        if resumed is None:
            raise
        # It may be for what stands in the checkpoint; if not, it comes again.
        log.warning("%s: %s; starting over.", run.job.id, error)
        snapshots.cut(folder, after=0)
    return _optimized(run, None)


def _done(
    session: Session,
    setup_seconds: float,
    optimize_seconds: float,
    steps: int,
    chosen: dict[str, Any],
    output: Output,
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
    return Done(engine=engine, timing=timing, peak_memory_bytes=0, chosen=chosen, output=output)


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
