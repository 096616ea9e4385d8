"""Publishing: a result is built beside the outbox's others under a dot-name and appears in one rename."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipeline import storage
from pipeline.jobs import losses, previews, result, snapshots, variants
from pipeline.jobs.log import JobFacts, Log, Source, Sources
from pipeline.jobs.losses import Losses
from pipeline.jobs.record import Job, JobImage, RecordError, is_job_id, now
from pipeline.jobs.result import Done, Failed, Result
from pipeline.manifest.document import write_document
from pipeline.outbox.curve import loss_plot
from pipeline.storage import Slices

log = logging.getLogger(__name__)

DROPPED = "dropped"  # in a failure: the folder of its manifest as it was dropped, apart from its log
MOST_DROPPED_BYTES = 1 << 20
MOST_PREVIEW_BYTES = 4 << 20
MOST_RESULT_BYTES = 4 << 30  # of a picture, which takes at most eight bytes a pixel
TRASH = ".stylistic-trash"  # the outbox is shared with others, who have theirs


def clean(outbox: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove what an earlier life left unfinished.

    The outbox has to be there: where a share has just gone, none is made in its place.

    Args:
        outbox: the folder, which other runners may share.
        is_ours: whether a job of this id is this runner's.
    """
    found = storage.entries(outbox)
    storage.clear_away(outbox / TRASH)
    # Others keep dot-names in a shared folder too: only what is named like our results is ours.
    for leftover in found:
        if leftover.name[0] == "." and is_job_id(leftover.name[1:]) and is_ours(leftover.name[1:]):
            if leftover.is_folder:
                storage.clear_away(leftover.path)
            else:
                with storage.passed_over():
                    storage.remove_file(leftover.path)


def withdraw(outbox: Path, job_id: str) -> None:
    """Take a result back; none there is fine."""
    if storage.is_there(outbox / job_id):
        storage.discard(outbox / job_id, outbox / TRASH)


def publish(outbox: Path, job: Job, folder: Path | None, ended: Result, dropped: Path | None = None) -> Slices[Log]:
    """Build ``outbox/<id>/`` and rename it into sight; gives the log.

    Args:
        outbox: where readers look.
        job: the job's record.
        folder: of the attempt that counts, with what its worker left; None if there was none.
        ended: how.
        dropped: the manifest as it was dropped, where the job has failed; its owner finds it beside the reason.

    Raises:
        FileExistsError: something is there already; then nothing is built.
        OSError: something else is in the way, or there is no room.
    """
    if storage.is_there(place := outbox / job.id) and not (storage.is_folder(place) and not storage.names(place)):
        raise FileExistsError(errno.EEXIST, "is there already", str(place))
    building = outbox / f".{job.id}"
    storage.remove(building)
    storage.make_folder(building)
    built = build_log(job, folder, ended)
    if folder and isinstance(ended, Done):
        for path in result.files(folder):
            yield from _copy(path, building)
        yield from _add_previews(building, folder)
        yield from _add_snapshots(building, job, folder)
        yield from _add_series(building, ended, folder)
        if job.manifest and job.manifest.sweep:
            for number, variant in enumerate(variants.records(job), 1):
                yield from _add_variant(building, variant, variants.place(folder, number))
    elif dropped:
        _add_dropped(building / DROPPED, f"{job.name}{dropped.suffix}", dropped)
    if built.loss.step:
        storage.write_atomic(building / f"{job.name}.loss.png", loss_plot(built.loss, job.name))
    if built.manifest is not None:
        storage.write_atomic(building / "manifest.yaml", write_document(built.manifest))
    storage.write_json(building / f"{job.name}.json", built.data())
    storage.sync_folder(building)
    storage.move(building, place)
    return built


def _add_dropped(place: Path, name: str, dropped: Path) -> None:
    """Copy a manifest as it was dropped, unless it is a link, no file, too large, or not to be read."""
    try:
        data = storage.read(dropped, MOST_DROPPED_BYTES)
    except OSError as error:
        log.info("%s is not copied to the outbox (%s)", dropped.name, error.strerror)
        return
    storage.make_folder(place)
    storage.write_atomic(place / name, data)


def build_log(job: Job, folder: Path | None, ended: Result) -> Log:
    """The log, from the job's record and what a worker left in a folder."""
    done = ended if isinstance(ended, Done) else None
    manifest = job.manifest.effective() if job.manifest else None
    if manifest and done:
        manifest["parameters"] |= done.chosen
    inputs = {part: _source(image) for part, image in job.images.items()}
    return Log(
        status=ended.status,
        job=JobFacts(
            id=job.id,
            name=job.name,
            claimed_at=job.claimed_at,
            started_at=job.started_at,
            finished_at=now(),
            attempts=job.attempts,
        ),
        manifest=manifest,
        inputs=Sources(
            content=inputs.get("content"),
            style=[source for part, source in inputs.items() if part.startswith("style-")],
            others=[source for part, source in inputs.items() if not part.startswith(("content", "style-"))],
        ),
        engine=done and done.engine,
        loss=Losses.of(losses.read(folder) if folder else []),
        timing=done and done.timing,
        peak_memory_bytes=done and done.peak_memory_bytes,
        peak_card_memory_bytes=done and done.peak_card_memory_bytes,
        output=done and done.output,
        error=ended.reason if isinstance(ended, Failed) else None,
        variants=done and done.variants,
        frames=done and done.frames,
    )


def _add_variant(building: Path, job: Job, place: Path) -> Slices[None]:
    """The pictures and the log of a sweep's variant."""
    ended = result.read(place) or Failed(reason="its result is gone.")
    if isinstance(ended, Done):
        for path in result.files(place):
            yield from _copy(path, building)
        yield from _add_snapshots(building, job, place)
    storage.write_json(building / f"{job.name}.json", build_log(job, place, ended).data())
    yield from _add_previews(building, place, place.name)


def _add_previews(building: Path, folder: Path, variant: str = "") -> Slices[None]:
    """The previews of a job, or of a variant: what all variants share, such as the photo, is there once."""
    whole = building / previews.FOLDER
    for path in previews.files(folder):
        place = whole
        if variant and (path.stem == "picture" or storage.is_there(whole / path.name)):
            if path.stem != "picture" and _read(whole / path.name) == _read(path):
                continue
            place = whole / variant
        storage.ensure_folder(place, within=building)
        yield from _copy(path, place)
    for place in (whole / variant, whole):
        if storage.is_folder(place):
            storage.sync_folder(place)


def _add_snapshots(building: Path, job: Job, place: Path) -> Slices[None]:
    """Those that were asked for; what only an animation was made of stays behind."""
    found = snapshots.read(place)
    if job.manifest and job.manifest.parameters.snapshots and found:
        folder = building / f"{job.name}.snapshots"
        storage.make_folder(folder)
        for path in found.values():
            yield from _copy(path, folder)
        storage.sync_folder(folder)


def _add_series(building: Path, ended: Done, folder: Path) -> Slices[None]:
    """The frames of a result that is a folder of them."""
    if storage.is_folder(folder / result.SERIES):
        place = building / ended.output.file
        storage.make_folder(place)
        for entry in storage.entries(folder / result.SERIES):
            if entry.name[0] != ".":
                yield from _copy(entry.path, place)
        storage.sync_folder(place)


def _copy(path: Path, folder: Path) -> Slices[None]:
    with _opened(path) as file:
        yield from storage.copy_stream(file, folder / path.name)


def _read(path: Path) -> bytes:
    with _opened(path) as file:
        return file.read(MOST_PREVIEW_BYTES)


def _opened(path: Path) -> BinaryIO:
    """A file that a worker has left.

    Raises:
        RecordError: it is none, or gone.
    """
    try:
        return storage.open_file(path, MOST_RESULT_BYTES)
    except OSError as error:
        if not storage.is_of_entry(error):
            raise
        raise RecordError(f"{path.name} of its result cannot be read ({error.strerror}).", "Try it again.") from None


def _source(image: JobImage) -> Source:
    return Source(file=image.file, sha256=image.sha256, width=image.width, height=image.height)
