"""A video dropped, a painted video found: with the installed command on real folders."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import Place, opened, picture, wait_for
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


@pytest.mark.stand_in
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


@pytest.mark.stand_in
def test_a_clip_that_is_killed_goes_on_to_the_end(place: Place) -> None:
    clip(place)
    drop(place, parameters={"frame_steps": 20})  # so many that the kill comes before the last
    process = place.start("run", "--checkpoint-seconds", "0")
    wait_for(lambda: [log for log in place.jobs.glob("running/*/*/loss.jsonl") if log.read_text().count("\n") >= 10])
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert place.run("run").returncode == 0
    log = only(place)
    assert log["job"]["attempts"] == 2
    assert log["loss"]["step"] == list(range(1, 107))
    assert len(frames(place.result(log))) == 6
    assert place.leftovers() == []


@pytest.mark.stand_in
def test_submit_takes_a_video_and_tells_its_time(place: Place) -> None:
    clip(place, "videos/one.mp4")
    place.photo("painting.png", seed=2)
    (place.inbox / "videos").rename(place.root / "videos")
    (place.inbox / "painting.png").rename(place.root / "painting.png")
    settings = ["image_size=64", "epochs=1", "steps_per_epoch=6", "frame_steps=3", "protect=off"]
    asked = ("submit", "videos", "--style", "painting.png", *(f"--set={one}" for one in settings))
    tried = place.run(*asked, "--dry-run").stdout.splitlines()
    assert tried[0] == "one: one.mp4, 6 frames"
    assert tried[1].startswith("6 frames; how long that takes is not measured yet")
    done = place.run(*asked)
    assert done.returncode == 0, done.stderr
    done = place.run("run")
    assert done.returncode == 0
    assert "6 frames; how long that takes is not measured yet" in done.stderr
    assert len(only(place)["frames"]) == 6


@pytest.mark.stand_in
@pytest.mark.parametrize("given", ["{root}/shot/", "linked", "job.JSON", ".shot"])
def test_submit_takes_a_folder_of_frames_as_one_clip(place: Place, given: str) -> None:
    shot = place.root / (given if given in ("job.JSON", ".shot") else "shot")
    shot.mkdir()
    for number in range(1, 4):
        Image.fromarray(moving(number)).save(place.root / f"elsewhere{number}.png")
        (shot / f"f{number}.png").symlink_to(place.root / f"elsewhere{number}.png")
    (shot / "notes.txt").write_text("no frame")
    (place.root / "linked").symlink_to(shot)
    painting = place.photo("painting.png", seed=2).rename(place.root / "painting.png")
    settings = ["frames=true", "image_size=64", "epochs=1", "steps_per_epoch=6", "frame_steps=3", "protect=off"]
    asked = (given.format(root=place.root), "--style", painting.name, *(f"--set={one}" for one in settings))
    tried = place.run("submit", *asked, "--dry-run").stdout.splitlines()
    assert tried[0].endswith(", 3 frames")
    done = place.run("submit", *asked)
    assert done.returncode == 0, done.stderr
    (shot / "f4.png").write_bytes(b"comes later")
    assert place.run("run").returncode == 0
    log = only(place)
    assert sorted(os.listdir(place.result(log))) == ["1.png", "2.png", "3.png"]


@pytest.mark.stand_in
def test_submit_says_what_is_wrong_with_a_folder_of_frames(place: Place) -> None:
    shot = place.root / "shot"
    shot.mkdir()
    painting = place.photo("painting.png", seed=2).rename(place.root / "painting.png")
    asked = ("submit", str(shot), "--style", painting.name, "--set=frames=true")
    assert "shot: no numbered frames in it, such as 0001.png." in place.run(*asked).stderr
    for number in range(1, 4):
        Image.fromarray(moving(number)).save(shot / f"{number}.png")
    said = place.run(*asked, "--max-frames=2").stderr
    assert "3 frames" in said
    assert "Leave some of them out, or raise the limit." in said
    assert "shot: more than 5 files (--max-files)." in place.run(*asked, "--max-files=5").stderr
    Image.fromarray(moving(0)[:40]).save(shot / "4.png")
    done = place.run(*asked)
    assert "4.png has 64×40 pixels, 1.png 64×48; frames of a clip are of one size." in done.stderr
    assert done.returncode == 2
    (shot / "4.png").unlink()
    os.mkfifo(shot / "5.png")
    assert "5.png" in place.run(*asked).stderr
    assert list(place.inbox.iterdir()) == []


def test_a_folder_of_frames_becomes_a_folder_of_frames_and_an_animation_a_video(place: Place) -> None:
    shot = place.inbox / "cut" / "shot"
    shot.mkdir(parents=True)
    for number in range(4):
        image = Image.fromarray(moving(number)[:47, :63]).convert("RGBA")
        image.paste((0, 0, 0, 0), (0, 0, 20, 47))
        image.save(shot / f"shot_{98 + number:04}.png")
    (shot / "notes.txt").write_text("no frame")
    place.photo("cut/painting.png", seed=2)
    place.photo("painting.png", seed=2)
    place.manifest("job.yaml", folder=place.inbox / "cut", content="shot", frames=True, parameters=QUICK)
    first, *others = [Image.fromarray(moving(number)) for number in range(4)]
    first.save(place.inbox / "moves.gif", save_all=True, append_images=others, duration=[50, 0, 200, 500])
    drop(place, content="moves.gif", frames=True)
    assert place.run("run").returncode == 0
    found = {log["inputs"]["content"]["file"]: log for log in place.logs()}
    folder = place.result(found["shot"])
    assert sorted(path.name for path in folder.iterdir()) == ["0098.png", "0099.png", "0100.png", "0101.png"]
    assert sorted(path.name for path in (place.outbox / "pictures" / "cut").iterdir()) == sorted(os.listdir(folder))
    painted = opened(folder / "0099.png")
    assert (painted.size, painted.mode) == ((64, 48), "RGBA")
    alpha = np.asarray(painted.getchannel("A"))
    assert (alpha[:, :18] < 10).all() and (alpha[:, 24:] > 245).all()
    assert len(found["shot"]["frames"]) == 4
    with av.open(str(place.result(found["moves.gif"]))) as container:
        times = [frame.time for frame in container.decode(video=0)]
        assert container.duration == pytest.approx(850_000, abs=2000)
    assert times == pytest.approx([0, 0.05, 0.15, 0.35], abs=1e-3)
    assert not (place.inbox / "cut").exists()
    assert place.leftovers() == []
