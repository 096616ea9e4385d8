from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import inputs, worker
from pipeline.job import Input, Job
from pipeline.manifest.parse import parse_manifest
from tests.conftest import picture


def job(folder: Path, **parameters: Any) -> Path:
    """A job's folder as intake leaves it."""
    folder.mkdir()
    images = {}
    for seed, part in enumerate(("content", "style-1")):
        picture(seed=seed).save(folder / f"{part}.png")
        digest = hashlib.sha256((folder / f"{part}.png").read_bytes()).hexdigest()
        images[part] = Input(f"{part}.png", f"{part}.png", digest, 80, 64)
    fields = {"content": "content.png", "style": "style-1.png", "parameters": {"image_size": 64, **parameters}}
    manifest = parse_manifest(json.dumps(fields).encode(), "a.json")
    Job("a-20260101-000000-0000", "a", "2026-01-01", manifest=manifest.effective(), images=images).save(folder)
    return folder


def test_jobs_of_the_same_images_decode_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_last_inputs", {})

    def taken(name: str, **parameters: Any) -> inputs.Inputs:
        folder = job(tmp_path / name, **parameters)
        return worker._take_inputs(folder, Job.load(folder), 10**6)

    first = taken("1", style_weight=1)
    assert taken("2", style_weight=2) is first
    other = taken("3", denoise=1)
    assert np.abs(other.content.rgb - first.content.rgb).max() > 0
    np.testing.assert_array_equal(other.photo.rgb, first.photo.rgb)
    assert len(worker._last_inputs) == 1


@pytest.mark.parametrize("change", [{"image_size": 32}, {"style_scale": 2}, {"color": "match"}, {"init": "style"}])
def test_what_makes_other_images_has_another_key(tmp_path: Path, change: dict[str, Any]) -> None:
    plain, changed = (Job.load(job(tmp_path / name, **given)) for name, given in (("1", {}), ("2", change)))
    assert inputs.key(plain) != inputs.key(changed)
