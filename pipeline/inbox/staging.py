"""From a claimed drop to a job: copy everything it needs, and let go of the inbox."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline import storage
from pipeline.inbox.claims import Claims, LostClaimError
from pipeline.inbox.drops import Drop
from pipeline.inbox.jobfolder import is_of_style_folder
from pipeline.inbox.places import open_inside
from pipeline.inbox.readiness import Ready, Rejected
from pipeline.inbox.series import UnsettledError, packed
from pipeline.inbox.stability import Signature, signature_of
from pipeline.jobs.fields import MOST_FILE_NAME_BYTES
from pipeline.jobs.record import Job, JobImage, name_in, now
from pipeline.jobs.spool import DROPPED, KEPT, Spool
from pipeline.pictures.series import SUFFIX
from pipeline.storage import Slices

log = logging.getLogger(__name__)

MAX_COPIED_BYTES, MAX_COPIED_FILES, MAX_COPIED_DEPTH = 64 << 20, 10_000, 32  # of a rejected drop
ROOM_BYTES = 1 << 20  # that a disk has left which is not full for everybody


class ChangedError(Exception):
    """A file is not the one any more that was judged; the drop stays claimed and is looked at again."""


def require_unchanged(verdict: Ready | Rejected, drop: Drop) -> None:
    """Make sure that a claim has taken the manifest that was read, not one that replaced it meanwhile.

    Raises:
        ChangedError: it is another one.
    """
    if verdict.of_manifest is not None:
        with _looked_at_again(), open_inside(drop.manifest, [drop.manifest.parent], drop.label) as file:
            if signature_of(os.fstat(file.fileno())) != verdict.of_manifest:
                raise ChangedError(drop.label)


def lack_of_room(folder: Path, needed: int) -> str:
    """Why copies of so many bytes have to wait, if a folder's disk has not that many left; else nothing.

    Nor where it is as good as full: then the copying tells so, once for all drops.
    """
    free = storage.free_bytes(folder)
    if needed <= free or free < ROOM_BYTES:
        return ""
    return f"takes {needed / 1e6:,.1f} MB, more than the disk of {folder} has left; make room there"


def bytes_of(ready: Ready) -> int:
    """How many bytes the copies of a drop's images take."""
    frames = ready.series.signatures if ready.series else []
    return sum(size for _, _, size, _ in (*ready.signatures, *frames))


def stage(claims: Claims, spool: Spool, ready: Ready, drop: Drop) -> Slices[None]:
    """Copy a claimed drop into ``queued/``; from here nobody's later edit in the inbox can change the job.

    Raises:
        ChangedError: an image has changed since it was found ready, or cannot be read any more.
        LostClaimError: another runner has taken the claim over; the job is its.
    """
    job_id = _id(drop)
    if not spool.is_alive(job_id):
        draft = spool.draft(job_id)
        with storage.removed_unless_whole(draft):
            job = yield from _copy(ready, drop, draft)
        spool.admit(draft, job, spool.queued)
    try:
        claims.let_go(drop)
    except LostClaimError:
        spool.withdraw(job_id)
        raise


def _copy(ready: Ready, drop: Drop, draft: Path) -> Slices[Job]:
    """Copy the images and the manifest into a draft; gives the record."""
    # The id has the last word on the name: the manifest may have been replaced between scan and claim.
    manifest = ready.manifest.model_copy(update={"name": name_in(_id(drop))})
    inputs = {}
    for (part, image), film, signature in zip(manifest.images.items(), ready.films, ready.signatures, strict=True):
        if film.kind == "series":
            stored = part + SUFFIX
            digest = yield from _pack(ready, drop, image, draft / stored)
        else:
            stored = part + Path(image).suffix[:8].lower()
            digest = yield from _copy_image(drop, image, signature, draft / stored)
        kind, count = (film.kind, ready.frames) if part == "content" else ("photo", 1)
        facts = {"width": film.width, "height": film.height, "frames": count, "kind": kind}
        inputs[part] = JobImage(file=image, stored=stored, sha256=digest, **facts)
    with _looked_at_again(), open_inside(drop.manifest, [drop.manifest.parent], drop.label) as file:
        yield from storage.copy_stream(file, draft / (DROPPED + drop.manifest.suffix.lower()))
    return Job.new(_id(drop), manifest, inputs, manifest.content if is_of_style_folder(drop.places) else None)


def _copy_image(drop: Drop, image: str, signature: Signature, target: Path) -> Slices[str]:
    with contextlib.ExitStack() as stack:
        with _looked_at_again():
            file = stack.enter_context(drop.places.open(image))
        digest = yield from storage.copy_stream(file, target)
        if signature_of(os.fstat(file.fileno())) != signature:
            raise ChangedError(image)
    return digest


def _pack(ready: Ready, drop: Drop, folder: str, target: Path) -> Slices[str]:
    """The frames of a folder as one file."""
    assert ready.series is not None
    try:
        with _looked_at_again():
            return (yield from packed(drop.places, folder, ready.series, target))
    except UnsettledError as error:
        raise ChangedError(folder) from error


def rejected_job(verdict: Ready | Rejected, drop: Drop) -> Job:
    """The record of a drop that could not become a job."""
    job_id = _id(drop)
    return Job(id=job_id, name=name_in(job_id), claimed_at=now(), manifest=verdict.manifest)


def keep_rejected(claims: Claims, spool: Spool, job: Job, drop: Drop) -> Slices[None]:
    """Move a claimed drop that could not become a job to ``failed/``, whole, for ``retry``.

    Where that is another file system, and the drop is large or cannot be read, it stays in the inbox, out of sight.
    """
    place = spool.failed / job.id
    is_folder = drop.places.is_job_folder
    dropped = drop.places.folder if is_folder else drop.manifest
    kept = place / KEPT if is_folder else place / KEPT / _name_of(drop)
    if not storage.is_there(place):
        draft = spool.draft(job.id)
        if is_folder:
            storage.mark(draft / f"{KEPT}.folder")
        spool.admit(draft, job, spool.failed)
    if storage.is_there(dropped):  # else an earlier life has come so far
        storage.ensure_folder(kept.parent)
        try:
            storage.move(dropped, kept)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            if not (yield from _copied(dropped, kept, place / ".copy")):
                storage.ensure_folder(claims.rejected)
                storage.move(drop.entry, claims.rejected / drop.entry.name)
                log.warning("%s cannot be copied from the inbox; it lies in %s", drop.label, claims.rejected)
    if storage.is_there(drop.entry):
        claims.let_go(drop)
    claims.tidy()


def _name_of(drop: Drop) -> str:
    """A manifest's name as it was dropped; where that is none for a file, as a label tells it, its job's."""
    is_name = len(os.fsencode(drop.label)) <= MOST_FILE_NAME_BYTES
    return drop.label if is_name else name_in(_id(drop)) + drop.manifest.suffix


def _copied(dropped: Path, kept: Path, building: Path) -> Slices[bool]:
    """Copy a rejected drop to another file system; False where it is too much for that, or not all ours to read."""
    if not _can_be_copied(dropped):
        return False
    storage.remove(building)
    storage.make_folder(building)
    try:
        yield from storage.copy_tree(dropped, building / kept.name)
    except OSError as error:
        storage.remove(building)
        if not storage.is_refusal(error, dropped):
            raise
        return False
    storage.move(building / kept.name, kept)
    storage.remove_if_empty(building)
    return True


def _can_be_copied(dropped: Path) -> bool:
    """Whether it is a file, or a folder of files, and not too large or too deep for that."""
    if not storage.is_folder(dropped):
        found = storage.look(dropped)
        return found is not None and stat.S_ISREG(found.st_mode) and found.st_size <= MAX_COPIED_BYTES
    total = 0
    for number, entry in enumerate(storage.walk(dropped)):
        found = storage.glance(entry.path)
        total += found.st_size if found and entry.is_file else 0
        depth = len(entry.path.parts) - len(dropped.parts)
        if total > MAX_COPIED_BYTES or number > MAX_COPIED_FILES or depth > MAX_COPIED_DEPTH:
            return False
    return True


@contextlib.contextmanager
def _looked_at_again() -> Iterator[None]:
    """What cannot be opened any more is told when the drop is judged anew."""
    try:
        yield
    except PermissionError as error:
        raise ChangedError(str(error)) from error


def _id(drop: Drop) -> str:
    assert drop.id is not None, "the drop has not been claimed"
    return drop.id
