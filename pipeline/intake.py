"""From a drop to a job: claim it, copy everything it needs, and let go of the inbox."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline import storage
from pipeline.job import Input, Job, now
from pipeline.spool import Spool
from pipeline.watcher import Drop, Inbox, Ready, Rejected, signature_of


class ChangedError(Exception):
    """An image is not the one any more that was found ready; the drop stays claimed and is looked at again."""


def claim(inbox: Inbox, spool: Spool, verdict: Ready | Rejected) -> Drop:
    """Claim the drop of a verdict under an id that no other job has."""
    manifest = verdict.manifest
    name = manifest.name if manifest else verdict.drop.default_name
    return inbox.claim(verdict.drop, name, spool.is_taken)


def stage(inbox: Inbox, spool: Spool, ready: Ready, drop: Drop) -> None:
    """Copy a claimed drop into ``queued/``; from here nobody's later edit in the inbox can change the job.

    Raises:
        ChangedError: an image has changed since it was found ready.
    """
    job_id = _id(drop)
    if not spool.is_alive(job_id):
        draft = spool.draft(job_id)
        manifest = ready.manifest
        inputs = {}
        for (part, image), size, signature in zip(manifest.images.items(), ready.sizes, ready.signatures, strict=True):
            stored = part + Path(image).suffix[:8].lower()
            with inbox.open(drop, image) as file:
                digest = storage.copy_stream(file, draft / stored)
                if signature_of(os.fstat(file.fileno())) != signature:
                    raise ChangedError(image)
            inputs[part] = Input(image, stored, digest, *size)
        job = Job(job_id, manifest.name, now(), manifest.priority, manifest.effective(), inputs, manifest.steps)
        spool.admit(draft, job, spool.queued)
    inbox.drop_claim(drop)


def rejected_job(verdict: Ready | Rejected, drop: Drop) -> Job:
    """The record of a drop that could not become a job."""
    manifest = verdict.manifest
    name = manifest.name if manifest else drop.default_name
    return Job(_id(drop), name, now(), manifest=manifest.effective() if manifest else None)


def keep_rejected(inbox: Inbox, spool: Spool, job: Job, drop: Drop) -> None:
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
        if drop.is_folder:
            (draft / "drop.folder").touch()
        spool.admit(draft, job, spool.failed)
    inbox.drop_claim(drop)


def _id(drop: Drop) -> str:
    assert drop.id is not None, "the drop has not been claimed"
    return drop.id
