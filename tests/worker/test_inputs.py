from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from pipeline.errors import ImageError
from pipeline.jobs.record import Job, JobImage, name_in, now
from pipeline.manifest.parse import parse_manifest
from pipeline.worker import inputs
from tests.conftest import picture


def job(folder: Path, **parameters: Any) -> Path:
    """A job's folder as intake leaves it."""
    folder.mkdir()
    images = {}
    for seed, part in enumerate(("content", "style-1")):
        picture(seed=seed).save(folder / f"{part}.png")
        digest = hashlib.sha256((folder / f"{part}.png").read_bytes()).hexdigest()
        images[part] = JobImage(file=f"{part}.png", stored=f"{part}.png", sha256=digest, width=80, height=64)
    fields = {"content": "content.png", "style": "style-1.png", "parameters": {"image_size": 64, **parameters}}
    manifest = parse_manifest(json.dumps(fields).encode(), "a.json")
    record = Job(id=folder.name, name=name_in(folder.name), claimed_at=now(), manifest=manifest, images=images)
    record.save(folder)
    return folder


def test_jobs_of_the_same_images_decode_them_once(tmp_path: Path) -> None:
    loader = inputs.InputLoader()

    def taken(name: str, **parameters: Any) -> inputs.Inputs:
        folder = job(tmp_path / f"a-20260101-000000-000{name}", **parameters)
        return loader.take(folder, Job.load(folder), 10**6)

    first = taken("1", style_weight=1)
    assert taken("2", style_weight=2) is first
    other = taken("3", denoise=1)
    assert np.abs(other.content.rgb - first.content.rgb).max() > 0
    np.testing.assert_array_equal(other.photo.rgb, first.photo.rgb)


def test_images_decoded_ahead_are_taken_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = inputs.InputLoader()
    folder = job(tmp_path / "a-20260101-000000-0001")
    loader.load_ahead(folder, 10**6)
    assert loader._ahead is not None
    ahead = loader._ahead[1].result()
    monkeypatch.setattr(inputs, "load", None)
    assert loader.take(folder, Job.load(folder), 10**6) is ahead


@pytest.mark.parametrize("colour", ["white", "black"])
def test_what_is_transparent_in_a_mask_counts_as_black(tmp_path: Path, colour: str) -> None:
    """As a layer that is painted on nothing, which every program of pictures exports so."""
    folder = job(tmp_path / "a-20260101-000000-0001")
    record = Job.load(folder)
    mask_file = record.images["content"].model_copy(update={"file": "mask.png", "stored": "mask.png"})
    assert record.manifest is not None
    parameters = record.manifest.parameters.model_copy(update={"protect": "mask.png"})
    manifest = record.manifest.model_copy(update={"parameters": parameters})
    record = record.model_copy(update={"manifest": manifest, "images": record.images | {"protect": mask_file}})
    mask = Image.new("RGBA", (80, 64), (255, 255, 255, 0))
    mask.paste((*ImageColor.getrgb(colour), 255), (40, 0, 80, 64))
    mask.save(folder / "mask.png")
    if colour == "black":
        with pytest.raises(ImageError, match=r"mask.png: black all over"):
            inputs.load(folder, record, 10**6)
        return
    protected = inputs.load(folder, record, 10**6).protected
    assert protected is not None
    assert protected[:, :30].max() < 1 / 255
    assert protected[:, -30:].min() == 1.0


def test_an_image_gone_from_a_job_is_the_jobs_failure_and_a_gone_folder_is_not(tmp_path: Path) -> None:
    folder = job(tmp_path / "a-20260101-000000-0001")
    record = Job.load(folder)
    (folder / "content.png").unlink()
    with pytest.raises(ImageError, match=r"content\.png: its copy is gone"):
        inputs.load(folder, record, 10**6)
    folder.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        inputs.load(folder, record, 10**6)


@pytest.mark.parametrize(
    "change", [{"image_size": 32}, {"style_scale": 2}, {"color": "match"}, {"init": "style"}, {"protect": "off"}]
)
def test_what_makes_other_images_has_another_key(tmp_path: Path, change: dict[str, Any]) -> None:
    plain, changed = (
        Job.load(job(tmp_path / f"a-20260101-000000-000{name}", **given)) for name, given in (("1", {}), ("2", change))
    )
    assert inputs.key(plain) != inputs.key(changed)
