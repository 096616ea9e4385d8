"""Videos in the inbox: which become jobs, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.forecast.paces import Paces
from pipeline.inbox.readiness import Ready, Rejected, Waiting
from pipeline.inbox.submit import find_photos
from pipeline.manifest.model import Limits
from pipeline.pictures import clips
from tests.conftest import picture
from tests.forecast.test_paces import known
from tests.inbox.conftest import only
from tests.inbox.test_style_folder import at_once, jobs, photo, scan
from tests.pictures.test_clips import video

LIMITS = Limits(max_pixels=10**6)


@pytest.fixture
def wave(folder: Path) -> Path:
    """A style folder with its style and a video."""
    photo(folder / "wave" / "style.jpg", seed=1)
    (folder / "wave" / "Holiday.MP4").write_bytes(video())
    return folder / "wave"


def test_a_video_in_a_style_folder_becomes_a_job(folder: Path, wave: Path) -> None:
    scan(at_once(folder))
    assert jobs(folder).keys() == {"wave/Holiday.MP4"}
    assert (wave / "Holiday.MP4").exists()


def test_the_film_of_a_live_photo_is_no_clip(folder: Path, wave: Path) -> None:
    photo(wave / "IMG_0042.jpg")
    for name in ("IMG_0042.MOV", "IMG_0043.mov"):
        (wave / name).write_bytes(video(form="mov"))
    scan(at_once(folder), times=5)
    assert jobs(folder).keys() == {"wave/Holiday.MP4", "wave/IMG_0042.jpg", "wave/IMG_0043.mov"}
    assert {Path(path).name for path in find_photos([str(wave)])[0]} == {
        "Holiday.MP4",
        "IMG_0042.jpg",
        "IMG_0043.mov",
        "style.jpg",
    }


def test_without_pyav_a_style_folder_says_so_once_and_makes_no_job(
    folder: Path, wave: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "missing", lambda: "PyAV")
    photo(wave / "harbour.jpg")
    (wave / "more.mkv").write_bytes(video(form="matroska"))
    inbox = at_once(folder)
    scan(inbox)
    assert jobs(folder).keys() == {"wave/harbour.jpg"}
    told = [hint for hint in inbox.drops.hints if "video" in hint]
    assert told == ["wave: videos are not painted: PyAV is not installed; `pip install 'stylistic[video]'`"]
    monkeypatch.undo()
    scan(inbox)
    assert jobs(folder).keys() == {"wave/harbour.jpg", "wave/Holiday.MP4", "wave/more.mkv"}


def test_a_picture_of_a_style_is_no_video(folder: Path) -> None:
    (folder / "wave").mkdir()
    (folder / "wave" / "style.mp4").write_bytes(video())
    photo(folder / "wave" / "harbour.jpg")
    scan(at_once(folder))
    assert jobs(folder) == {}


def verdict(folder: Path, data: bytes, limits: Limits = LIMITS, paces: Paces | None = None, **fields: Any) -> Any:
    """What is made of a manifest beside a video, some looks after it has been dropped."""
    (folder / "clip.mp4").write_bytes(data)
    picture(seed=2).save(folder / "painting.png")
    (folder / "job.json").write_text(json.dumps({"content": "clip.mp4", "style": "painting.png", **fields}))
    inbox = at_once(folder, limits=limits, paces=paces)
    for _ in range(4):
        found = only(inbox)
    return found


def test_a_video_is_as_long_as_it_is_and_a_part_as_what_is_left(folder: Path) -> None:
    ready = verdict(folder, video(count=20))
    assert isinstance(ready, Ready)
    assert (ready.films[0][:3], ready.frames) == ((64, 48, 20), 20)
    part = verdict(folder, video(count=20), start=0.5, end=1.5)
    assert isinstance(part, Ready)
    assert part.frames == 10


def test_of_uneven_frames_those_between_two_times_are_counted(folder: Path) -> None:
    """By the whole's length a tenth of a second would be one frame of these."""
    data = video(count=20, times=[*range(18), 500, 1000])
    assert cast("Ready", verdict(folder, data, start=0, end=1.8)).frames == 18
    assert "18 frames; how long" in cast("Rejected", verdict(folder, data, Limits(max_frames=17), end=1.75)).reason
    assert "no frame of it is between" in cast("Rejected", verdict(folder, data, start=2, end=40)).reason


def test_one_that_breaks_off_waits(folder: Path) -> None:
    data = video(count=40)
    found = verdict(folder, data[: len(data) // 2])
    assert isinstance(found, Waiting)
    assert "clip.mp4" in found.reason


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"start": 5}, "clip.mp4: is 0.6 s long; `start: 5` is behind its end"),
        ({"start": 2, "end": 1}, "`end`: must be after `start`, 2 s, not 1"),
        ({"style": "clip.mp4", "content": "painting.png"}, "clip.mp4: a video. Only `content` may be one"),
        ({"sweep": {"strength": [1, 2]}}, "clip.mp4: a video; a sweep is of photos"),
        ({"parameters": {"timelapse": True}}, "clip.mp4: a video; `print`, `snapshots` and `timelapse` are of photos"),
        ({"parameters": {"print": {"width_cm": 9}}}, "clip.mp4: a video; `print`"),
        ({"parameters": {"image_size": 20000}}, "clip.mp4: a video; the frames of one have at most 16,000 pixels"),
        ({"content": "painting.png", "end": 1}, "painting.png: a photo; `start` and `end` are of a video"),
    ],
)
def test_what_a_clip_cannot_have_is_said(folder: Path, fields: dict[str, Any], said: str) -> None:
    found = verdict(folder, video(), **fields)
    assert isinstance(found, Rejected)
    assert said in found.reason


def test_one_that_is_narrower_than_its_codec_takes_says_so(folder: Path) -> None:
    data = video(width=128, height=32)
    small = {"image_size": 56, "content_layers": ["block1_conv1"], "style_layers": ["block1_conv1"]}
    found = verdict(folder, data, parameters={**small, "video_codec": "h265"})
    said = "clip.mp4: 56×14 pixels at `image_size: 56`; `video_codec: h265` takes 16 at least. Say h264, or raise"
    assert said in cast("Rejected", found).reason
    assert isinstance(verdict(folder, data, parameters=small), Ready)
    assert isinstance(verdict(folder, data, parameters={**small, "video_codec": "h265", "image_size": 64}), Ready)


def test_one_that_asks_for_too_much_says_so(folder: Path) -> None:
    found = verdict(folder, video(), Limits(max_pixels=10**6, max_steps=250))
    assert isinstance(found, Rejected)
    assert (
        "clip.mp4: 6 frames of 25 steps (`frame_steps`) are 325 in all; the limit is 250 (--max-steps)" in found.reason
    )


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (False, "6 frames; how long that takes is not measured yet on this machine"),
        (True, "6 frames, about 20 min on this CPU, reckoned from the nearest size that was painted here"),
    ],
)
def test_one_that_is_too_long_says_how_long(folder: Path, tmp_path: Path, measured: bool, said: str) -> None:
    paces = known(tmp_path / "pace.json", (160 * 160, 1.0)) if measured else Paces(None)
    found = verdict(folder, video(), Limits(max_pixels=10**6, max_frames=5), paces)
    assert isinstance(found, Rejected)
    assert f"clip.mp4: {said}; the limit is 5 (--max-frames)" in found.reason
