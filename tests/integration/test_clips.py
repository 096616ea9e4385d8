"""A video dropped, a painted video found: with the installed command on real folders."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.conftest import Place, picture, wait_for
from tests.pictures.test_clips import video

av = pytest.importorskip("av")

QUICK = {"frame_steps": 3, "protect": "off"}


def moving(number: int) -> Any:
    """A soft picture that moves to the left by two pixels a frame."""
    return np.asarray(picture(120, 64, seed=5).convert("RGB"))[:48, 2 * number : 2 * number + 64]


def clip(place: Place, name: str = "clip.mp4", **given: Any) -> Path:
    path = place.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(video(draw=moving, **given))
    return path


def drop(place: Place, **fields: Any) -> Path:
    place.photo("painting.png", seed=2)
    given = {"content": "clip.mp4", **fields}
    return place.manifest(**{**given, "parameters": {**QUICK, **fields.get("parameters", {})}})


def only(place: Place) -> dict[str, Any]:
    (log,) = place.logs()
    assert log["status"] == "done", log["error"]
    return log


def frames(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_video_becomes_a_painted_video_with_its_times_and_its_sound(place: Place) -> None:
    clip(place, times=[0, 1, 2, 3, 7, 8], sound="aac")
    drop(place)
    assert place.run("run").returncode == 0
    log = only(place)
    assert log["output"]["file"] == "job.mp4"
    with av.open(str(place.result(log))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (64, 48) == (log["output"]["width"], log["output"]["height"])
        times = [frame.time for frame in container.decode(stream)]
        assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.7, 0.8], abs=1e-3)
        assert container.streams.audio[0].codec_context.name == "aac"
    rows = log["frames"]
    assert [row["frame"] for row in rows] == list(range(1, 7))
    assert [row["steps"] for row in rows] == [6, 3, 3, 3, 3, 3]
    assert [row["flicker"] is None for row in rows] == [True, False, False, False, False, False]
    assert all(row["trusted"] > 0.5 and row["temporal"] >= 0 for row in rows[1:])
    assert log["loss"]["step"] == list(range(1, 22))
    assert (place.result(log).parent / "previews" / "picture.webp").exists()
    assert list((place.outbox / "pictures").glob("*.mp4"))
    assert place.leftovers() == []


def test_its_manifest_makes_the_same_frames_again(place: Place) -> None:
    clip(place)
    drop(place)
    assert place.run("run").returncode == 0
    first = only(place)
    again = yaml.safe_load((place.result(first).parent / "manifest.yaml").read_text())
    assert again["parameters"]["style_weight"] != "auto"
    clip(place)
    place.photo("painting.png", seed=2)
    (place.inbox / "again.yaml").write_text(yaml.safe_dump({**again, "name": "again"}))
    assert place.run("run").returncode == 0
    one, two = place.logs()
    for before, after in zip(frames(place.result(one)), frames(place.result(two)), strict=True):
        assert np.array_equal(before, after)


def test_a_style_folder_takes_videos_as_it_takes_photos(place: Place) -> None:
    folder = place.inbox / "wave"
    place.photo("wave/style.png", seed=2)
    (folder / "style.yaml").write_text(
        yaml.safe_dump({"parameters": {"image_size": 64, "epochs": 1, "steps_per_epoch": 6, **QUICK}})
    )
    clip(place, "wave/holiday.mov", form="mov")
    assert place.run("run").returncode == 0
    log = only(place)
    assert log["output"]["file"].endswith("holiday.mp4")
    assert (folder / "holiday.mov").exists()


def test_start_and_end_name_a_part(place: Place) -> None:
    clip(place)
    drop(place, start=0.2, end=0.5)
    assert place.run("run").returncode == 0
    assert [row["time"] for row in only(place)["frames"]] == pytest.approx([0.2, 0.3, 0.4])


def test_after_a_cut_a_scene_is_painted_anew(place: Place) -> None:
    def cut(number: int) -> Any:
        return moving(number) if number < 3 else np.asarray(picture(64, 48, seed=9).convert("RGB"))

    (place.inbox / "clip.mp4").write_bytes(video(draw=cut))
    drop(place)
    assert place.run("run").returncode == 0
    rows = only(place)["frames"]
    assert [row["scene"] for row in rows] == [1, 1, 1, 2, 2, 2]
    assert [row["steps"] for row in rows] == [6, 3, 3, 6, 3, 3]


@pytest.mark.parametrize("at", [4, 10])
def test_a_clip_that_is_killed_goes_on_to_the_same_bytes(place: Place, at: int) -> None:
    """Within a frame, and after the first."""
    clip(place)
    drop(place)
    assert place.run("run").returncode == 0
    whole = place.result(only(place)).read_bytes()
    for path in place.outbox.glob("[!.]*"):
        if path.is_dir():
            path.rename(place.root / path.name)
    clip(place)
    drop(place)
    process = place.start("run", "--checkpoint-seconds", "0")
    wait_for(lambda: [log for log in place.jobs.glob("running/*/*/loss.jsonl") if log.read_text().count("\n") >= at])
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert place.run("run").returncode == 0
    log = only(place)
    assert log["job"]["attempts"] == 2
    assert log["loss"]["step"] == list(range(1, 22))
    assert place.result(log).read_bytes() == whole
    assert place.leftovers() == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"start": 5}, "is 0.6 s long; `start: 5` is behind its end"),
        ({"start": 2, "end": 1}, "`end`: must be after `start`"),
        ({"style": "clip.mp4", "content": "painting.png"}, "clip.mp4: a video. Only `content` may be one"),
        ({"sweep": {"strength": [1, 2]}}, "clip.mp4: a video; a sweep is of photos"),
        ({"parameters": {"timelapse": True}}, "`snapshots` and `timelapse` are of photos"),
        ({"content": "painting.png", "end": 1}, "a photo; `start` and `end` are of a video"),
    ],
)
def test_what_a_clip_cannot_have_is_said(place: Place, fields: dict[str, Any], said: str) -> None:
    clip(place)
    drop(place, **fields)
    assert place.run("run").returncode == 1
    (log,) = place.logs()
    assert said in log["error"]


def test_one_that_is_too_long_says_so(place: Place) -> None:
    clip(place)
    drop(place)
    assert place.run("run", "--max-frames", "5").returncode == 1
    (log,) = place.logs()
    assert "clip.mp4: 6 frames; the limit is 5 (--max-frames)" in log["error"]


def test_submit_takes_a_video_and_tells_its_time(place: Place) -> None:
    clip(place, "videos/one.mp4")
    place.photo("painting.png", seed=2)
    (place.inbox / "videos").rename(place.root / "videos")
    (place.inbox / "painting.png").rename(place.root / "painting.png")
    settings = ["image_size=64", "epochs=1", "steps_per_epoch=6", "frame_steps=3", "protect=off"]
    done = place.run("submit", "videos", "--style", "painting.png", *(f"--set={one}" for one in settings))
    assert done.returncode == 0, done.stderr
    assert place.run("run").returncode == 0
    assert len(only(place)["frames"]) == 6
