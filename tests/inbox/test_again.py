"""A job once more, with changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.errors import UsageError
from pipeline.inbox import again
from pipeline.inbox.places import Places
from pipeline.jobs.log import JobFacts, Log, Sources
from pipeline.jobs.losses import Losses
from pipeline.jobs.record import Job, JobImage, name_in, now
from pipeline.jobs.spool import Spool
from pipeline.manifest.model import Limits
from pipeline.manifest.parse import parse_manifest
from tests.conftest import picture

A = "harbour-20260101-000000-000a"
STAGED = b"content: photos/harbour.png\nstyle: wave.png\npreset: draft\nparameters: {image_size: 256, seed: 3}\n"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "inbox" / "photos").mkdir(parents=True)
    spool = Spool(tmp_path / "jobs", keep_inputs_days=7)
    spool.prepare()
    return spool


def stage(spool: Spool, state: Path, text: bytes = STAGED) -> Job:
    manifest = parse_manifest(text, "harbour.yaml")
    draft = spool.draft(A)
    images = {}
    for number, (part, file) in enumerate(manifest.images.items()):
        picture(32, 24, seed=number).save(draft / f"{part}.png")
        with (draft / f"{part}.png").open("rb") as source:
            digest = storage.at_once(storage.digest_of(source))
        images[part] = JobImage(file=file, stored=f"{part}.png", sha256=digest, width=32, height=24)
    job = Job(id=A, name=name_in(A), claimed_at=now(), manifest=manifest, images=images, steps=75)
    spool.admit(draft, job, state)
    return job


def finish(spool: Spool, text: bytes = STAGED) -> Job:
    """A job that is done, its images kept."""
    job = stage(spool, spool.running, text)
    facts = JobFacts(id=A, name=job.name, claimed_at=now(), started_at=None, finished_at=now(), attempts=1)
    nothing: dict[str, Any] = {"engine": None, "timing": None, "peak_memory_bytes": None, "output": None, "error": None}
    sources = Sources(content=None, style=[])
    spool.finish(Log(status="done", job=facts, manifest=None, inputs=sources, loss=Losses.of([]), **nothing))
    return job


def repeat(spool: Spool, *settings: str) -> Job:
    inbox = spool.folder.parent / "inbox"
    planned = again.plan(spool, A, settings, Places(inbox, inbox), Limits(), None)
    again.queue(spool, planned)
    return planned.job


def test_a_finished_job_is_queued_with_its_images_and_the_changes(spool: Spool) -> None:
    first = finish(spool)
    assert not (spool.running / A).exists()
    new = repeat(spool, "style_weight=0.3", "priority=5", "name=softer")
    assert spool.next() == new.id
    job = Job.load(spool.queued / new.id)
    assert job.manifest is not None and first.manifest is not None
    assert (job.name, job.priority, job.manifest.parameters.style_weight) == ("softer", 5, 0.3)
    assert job.manifest.parameters == first.manifest.parameters.model_copy(update={"style_weight": 0.3})
    assert job.manifest.images == first.manifest.images
    for part, image in job.images.items():
        stored = spool.queued / new.id / image.stored
        assert image.sha256 == first.images[part].sha256
        with stored.open("rb") as file:
            assert storage.at_once(storage.digest_of(file)) == image.sha256
        assert os.path.samefile(stored, spool.inputs.folder / image.sha256), "a link, not a copy"


def test_a_failed_job_is_left_as_it_is(spool: Spool) -> None:
    stage(spool, spool.failed)
    new = repeat(spool)
    assert sorted(path.name for path in (spool.queued / new.id).glob("*.png")) == ["content.png", "style-1.png"]
    assert (spool.failed / A / "content.png").exists()


def test_what_was_not_asked_for_follows_the_change(spool: Spool) -> None:
    finish(spool)
    larger = repeat(spool, "image_size=512", "preset=fine").manifest
    assert larger is not None
    parameters = larger.parameters
    assert (parameters.image_size, parameters.style_size, parameters.steps, parameters.seed) == (512, 512, 600, 3)


def test_images_that_are_not_kept_are_found_in_the_inbox_if_they_are_the_same(spool: Spool) -> None:
    job = finish(spool)
    inbox = spool.folder.parent / "inbox"
    os.replace(spool.inputs.folder / job.images["content"].sha256, inbox / "photos" / "harbour.png")
    new = repeat(spool)
    assert (spool.queued / new.id / "content.png").exists()
    picture(32, 24, seed=9).save(inbox / "photos" / "harbour.png")
    with pytest.raises(UsageError, match=r"photos/harbour.png is not kept any more \(--keep-inputs\)"):
        repeat(spool)


def test_parameters_may_be_given_together_and_a_fault_of_a_preset_names_its_file(spool: Spool) -> None:
    finish(spool)
    manifest = repeat(spool, "parameters={strength: 2}").manifest
    assert manifest and (manifest.parameters.strength, manifest.parameters.seed) == (2, 3)
    presets, inbox = spool.folder.parent, spool.folder.parent / "inbox"
    (presets / "night.yaml").write_text("parameters:\n  strength: much\n")
    with pytest.raises(UsageError, match=r"^night\.yaml, line 2: `parameters.strength`"):
        again.plan(spool, A, ["preset=night"], Places(inbox, inbox), Limits(), presets)


def test_a_print_gives_way_to_an_image_size(spool: Spool) -> None:
    finish(spool, b"content: photos/harbour.png\nstyle: wave.png\nparameters: {print: {width_cm: 2.54}}")
    for setting, size in (("strength=2", 300), ("print={width_cm: 5.08}", 600), ("image_size=400", 400)):
        manifest = repeat(spool, setting).manifest
        assert manifest and (manifest.parameters.image_size, manifest.parameters.style_size) == (size, size)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("style=other.png", "other.png is none of its images"),
        ("strenth=1", "did you mean `strength`"),
        ("image_size=3", "must be from 16 to 100000, not 3"),
        ("epochs", "write it as key=value"),
    ],
)
def test_what_cannot_be_changed_is_said_and_nothing_is_queued(spool: Spool, setting: str, said: str) -> None:
    finish(spool)
    with pytest.raises(UsageError, match=said):
        repeat(spool, setting)
    assert spool.next() is None


def test_a_job_that_is_neither_finished_nor_failed_is_refused(spool: Spool) -> None:
    stage(spool, spool.queued)
    with pytest.raises(UsageError, match="no finished or failed job of this id"):
        repeat(spool)


def test_images_are_kept_once_for_each_content_and_for_so_many_days(spool: Spool) -> None:
    job = finish(spool)
    kept = {image.sha256 for image in job.images.values()}
    assert {path.name for path in spool.inputs.folder.iterdir()} == kept
    for path in spool.inputs.folder.iterdir():
        os.utime(path, (0, 0))
    finish(spool)
    assert {path.name for path in spool.inputs.folder.iterdir()} == kept, "needed again just now"
    old = spool.inputs.folder / ("f" * 64)
    old.write_bytes(b"image")
    os.utime(old, (0, 0))
    finish(spool)
    assert not old.exists()
