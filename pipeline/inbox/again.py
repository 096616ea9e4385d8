"""A job once more, with changes: a new job in the queue, with the images of the old one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.errors import JobError, ManifestError, UsageError
from pipeline.inbox.places import Places
from pipeline.inbox.settings import read_settings, told
from pipeline.jobs.record import Job, JobImage, new_id
from pipeline.jobs.spool import Spool
from pipeline.manifest.document import write_document
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.parameters import PRESETS, Parameters
from pipeline.manifest.parse import parse_manifest


@dataclass(frozen=True)
class Repetition:
    """A job that can be queued: its record, and where its images lie by their parts."""

    job: Job
    sources: dict[str, Path]


def plan(
    spool: Spool, job_id: str, settings: Sequence[str], places: Places, limits: Limits, presets: Path | None
) -> Repetition:
    """A finished or failed job with changes, after everything about it has been tried; writes nothing.

    Args:
        spool: where it is.
        job_id: which one.
        settings: ``key=value`` as for ``submit``.
        places: where images are looked for that are not kept.
        limits: refused beyond.
        presets: a folder of presets of one's own.

    Raises:
        UsageError: there is no such job, an image of it is gone, or a setting cannot be used.
    """
    asked = spool.asked(job_id)
    fields, parameters = read_settings(settings)
    data = _as_it_was_written(asked.manifest)
    if "image_size" in parameters:
        data["parameters"].pop("print", None)  # which would give one
    if "print" in parameters:
        data["parameters"].pop("image_size", None)
    data = {**data, **fields, "parameters": {**data["parameters"], **parameters}}
    try:
        manifest = parse_manifest(write_document(data), job_id, None, limits, presets)
    except ManifestError as error:
        raise UsageError(told(error, job_id)) from None
    known = {image.file: image for image in asked.images.values()}
    images, sources = {}, {}
    for part, file in manifest.images.items():
        if file not in known:
            raise UsageError(f"{job_id}: {file} is none of its images.", "For others use `stylistic submit`.")
        images[part] = known[file].model_copy(update={"stored": part + Path(known[file].stored).suffix})
        sources[part] = _source(spool, job_id, known[file], places)
    again = new_id(manifest.name)
    job = Job.new(again, manifest, images, asked.place)
    return Repetition(job, sources)


def queue(spool: Spool, repetition: Repetition) -> None:
    """Queue a job that is planned; its images are linked where the file system can, else copied."""
    draft = spool.draft(repetition.job.id)
    for part, source in repetition.sources.items():
        target = draft / repetition.job.images[part].stored
        if source.is_relative_to(spool.folder):
            storage.link_or_copy(source, target)
            continue
        with storage.open_file(source) as file:  # whoever may change it there is not to change the job's
            digest = storage.at_once(storage.copy_stream(file, target))
        if digest != repetition.job.images[part].sha256:
            raise UsageError(f"{repetition.job.images[part].file}: has just been changed.", "Try again.")
    spool.admit(draft, repetition.job, spool.queued)


def _as_it_was_written(manifest: Manifest) -> dict[str, Any]:
    """A manifest without what its preset gives, so that another preset, or another `image_size`, has its say."""
    data = manifest.effective()
    base = Parameters.model_validate({**PRESETS[manifest.preset], "image_size": manifest.parameters.image_size})
    given = base.model_dump(mode="json") | {"image_size": Parameters().image_size}
    data["parameters"] = {key: value for key, value in data["parameters"].items() if value != given[key]}
    return data


def _is_of(path: Path, sha256: str) -> bool:
    """Whether a file has this content: what it is named after somebody else's record may have said."""
    with storage.open_file(path) as file:
        return storage.at_once(storage.digest_of(file)) == sha256


def _source(spool: Spool, job_id: str, image: JobImage, places: Places) -> Path:
    """Where an image lies: with the failed job, among the kept ones, or where its manifest found it."""
    for path in (spool.failed / job_id / image.stored, spool.inputs.find(image.sha256)):
        if path is not None and storage.is_file(path) and _is_of(path, image.sha256):
            return path
    with contextlib.suppress(OSError, JobError), places.open(image.file) as file:
        if storage.at_once(storage.digest_of(file)) == image.sha256:
            return Path(os.path.realpath(places.path(image.file)))
    raise UsageError(
        f"{job_id}: {image.file} is not kept any more (--keep-inputs), and in the inbox there is none like it.",
        "Put it back there, or use `stylistic submit`.",
    )
