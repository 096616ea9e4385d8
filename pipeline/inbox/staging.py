"""From a claimed drop to a job: copy everything it needs, and let go of the inbox."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline import storage
from pipeline.inbox.claims import Claims
from pipeline.inbox.drops import Drop
from pipeline.inbox.places import open_inside
from pipeline.inbox.readiness import Ready, Rejected, signature_of
from pipeline.jobs.record import Input, Job, name_in, now
from pipeline.jobs.spool import Spool


class ChangedError(Exception):
    """A file is not the one any more that was judged; the drop stays claimed and is looked at again."""


def require_unchanged(verdict: Ready | Rejected, drop: Drop) -> None:
    """Make sure that a claim has taken the manifest that was read, not one that replaced it meanwhile.

    Raises:
        ChangedError: it is another one.
    """
    if verdict.of_manifest is not None:
        with open_inside(drop.manifest, [drop.manifest.parent], drop.label) as file:
            if signature_of(os.fstat(file.fileno())) != verdict.of_manifest:
                raise ChangedError(drop.label)


def stage(claims: Claims, spool: Spool, ready: Ready, drop: Drop) -> None:
    """Copy a claimed drop into ``queued/``; from here nobody's later edit in the inbox can change the job.

    Raises:
        ChangedError: an image has changed since it was found ready.
    """
    job_id = _id(drop)
    if not spool.is_alive(job_id):
        draft = spool.draft(job_id)
        # The id has the last word on the name: the manifest may have been replaced between scan and claim.
        manifest = ready.manifest.model_copy(update={"name": name_in(job_id)})
        inputs = {}
        for (part, image), size, signature in zip(manifest.images.items(), ready.sizes, ready.signatures, strict=True):
            stored = part + Path(image).suffix[:8].lower()
            with drop.places.open(image) as file:
                digest = storage.copy_stream(file, draft / stored)
                if signature_of(os.fstat(file.fileno())) != signature:
                    raise ChangedError(image)
            inputs[part] = Input(file=image, stored=stored, sha256=digest, width=size[0], height=size[1])
        job = Job(
            id=job_id,
            name=manifest.name,
            claimed_at=now(),
            priority=manifest.priority,
            manifest=manifest,
            images=inputs,
            steps=manifest.steps,
        )
        spool.admit(draft, job, spool.queued)
    claims.let_go(drop)


def rejected_job(verdict: Ready | Rejected, drop: Drop) -> Job:
    """The record of a drop that could not become a job."""
    job_id = _id(drop)
    return Job(id=job_id, name=name_in(job_id), claimed_at=now(), manifest=verdict.manifest)


def keep_rejected(claims: Claims, spool: Spool, job: Job, drop: Drop) -> None:
    """Keep a claimed drop that could not become a job under ``failed/``, whole, for ``retry``."""
    if not (spool.failed / job.id).exists():
        draft = spool.draft(job.id)
        kept = draft / "drop"
        if not drop.entry.is_dir():
            kept.mkdir()
            if drop.entry.is_file() and not drop.entry.is_symlink():
                with drop.entry.open("rb") as file:
                    storage.copy_stream(file, kept / drop.label)
        else:
            storage.copy_tree(drop.manifest.parent, kept)
        if drop.places.is_job_folder:
            (draft / "drop.folder").touch()
        spool.admit(draft, job, spool.failed)
    claims.let_go(drop)


def _id(drop: Drop) -> str:
    assert drop.id is not None, "the drop has not been claimed"
    return drop.id
