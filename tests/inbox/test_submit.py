"""Jobs that `submit` writes: what --set may say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.inbox import submit
from pipeline.inbox.settings import read_settings
from pipeline.manifest.model import Limits
from tests.conftest import picture


@pytest.fixture(autouse=True)
def _images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("photo.png", "wave.png", "scream.png", "mask.png", "shot/1.png", "shot/2.png")):
        Path(name).parent.mkdir(exist_ok=True)
        picture(seed=seed).save(name)


def plan(
    *settings: str, photo: str = "photo.png", styles: Sequence[str] = ("wave.png", "scream.png")
) -> list[submit.Submission]:
    given = read_settings(settings)
    found, _ = submit.find_photos([photo], frames=given.frames)
    return submit.plan(found, list(map(Path, styles)), None, given, Limits(), Path("presets"))


@pytest.mark.parametrize(
    "setting",
    [
        "content=mask.png",
        "style=mask.png",
        "style=[{image: wave.png, content_mask: mask.png}]",
        "sweep={content: ['*.png']}",
        "sweep={style: [wave.png, mask.png]}",
        "protect=mask.png",
        "parameters={protect: mask.png}",
    ],
)
def test_an_image_that_is_not_submitted_is_refused(setting: str) -> None:
    with pytest.raises(UsageError, match=r"png: none of the photos and paintings that are submitted\. .* a manifest"):
        plan(setting)
    with pytest.raises(UsageError, match="mask.png: none of the photos and paintings"):
        plan("init=file", "init_image=mask.png")


def test_those_that_are_submitted_may_be_weighted_and_swept() -> None:
    (mixed,) = plan("style=[{image: wave.png, weight: 2}, scream.png]")
    assert [style.weight for style in mixed.manifest.style] == [2, 1]
    (swept,) = plan("sweep={style: [wave.png, scream.png]}")
    assert len(swept.manifest.variants()) == 2


@pytest.mark.parametrize("value", ["true", "yes", "1", "on", "True"])
def test_frames_are_one_clip_however_true_is_written(value: str) -> None:
    (job,) = plan(f"frames={value}", photo="shot")
    assert job.manifest.frames
    assert sorted(job.copies.values()) == ["scream.png", "shot/1.png", "shot/2.png", "wave.png"]
    assert len(plan("frames=no", photo="shot")) == 2


def test_parameters_may_be_given_together() -> None:
    (job,) = plan("parameters={strength: 2, seed: 3}", "seed=4")
    assert (job.manifest.parameters.strength, job.manifest.parameters.seed) == (2, 4)
    with pytest.raises(UsageError, match="--set parameters: must be {key: value, …}, not 'draft'"):
        plan("parameters=draft")


@pytest.mark.parametrize("setting", ["seed", "seed=", "seed= "])
def test_a_setting_without_a_value_is_told_its_form(setting: str) -> None:
    with pytest.raises(UsageError) as refused:
        plan(setting)
    assert str(refused.value) == f"--set {setting}: write it as key=value."


def test_a_fault_of_a_preset_is_told_with_its_file() -> None:
    Path("presets").mkdir()
    Path("presets/night.yaml").write_text("parameters:\n  strength: much\n")
    with pytest.raises(UsageError) as refused:
        plan("preset=night")
    assert str(refused.value).startswith("night.yaml, line 2: `parameters.strength`: must be a number")
    with pytest.raises(UsageError) as refused:
        plan("strength=much")
    assert str(refused.value).startswith("`parameters.strength`: must be a number")
