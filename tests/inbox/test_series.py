"""Folders of numbered frames in the inbox: which become jobs, and what is said of the others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ImageError
from pipeline.inbox.readiness import Ready, Rejected, Waiting
from pipeline.manifest.model import Limits
from pipeline.pictures import series
from tests.conftest import picture
from tests.inbox.conftest import only
from tests.inbox.test_style_folder import at_once

LIMITS = Limits(max_pixels=10**6, max_frames=20)


def frames(folder: Path, *names: str, width: int = 64) -> Path:
    shot = folder / "shot"
    shot.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        picture(width, 48, seed=number).save(shot / name)
    return shot


def verdict(folder: Path, **fields: Any) -> Any:
    """What is made of a manifest beside its frames, some looks after they have been dropped."""
    picture(seed=2).save(folder / "painting.png")
    asked = {"content": "shot", "style": "painting.png", "frames": True, **fields}
    (folder / "job.json").write_text(json.dumps(asked))
    inbox = at_once(folder, limits=LIMITS)
    for _ in range(4):
        found = only(inbox)
    return found


def with_others(folder: Path) -> None:
    """What cameras, systems and people leave beside frames."""
    shot = frames(folder, "a_1.png", "a_2.png", "a_10.PNG", "poster.png")
    for name in (".DS_Store", "Thumbs.db", "readme.txt", "._a_3.png", "a_4.mp4", "a_5.exr"):
        (shot / name).write_bytes(b"whatever")
    (shot / "older").mkdir()


def with_gaps(folder: Path) -> None:
    frames(folder, "0001.png", "0002.png", "0005.png")


def alone(folder: Path) -> None:
    frames(folder, "7.png")


def with_a_link_within_the_inbox(folder: Path) -> None:
    shot = frames(folder, "1.png", "2.png")
    picture(64, 48).save(folder / "elsewhere.png")
    (shot / "3.png").symlink_to("../elsewhere.png")


def with_names_of_any_bytes(folder: Path) -> None:
    shot = frames(folder)
    for number in range(3):
        picture(64, 48).save(shot / "a.png")
        os.rename(os.fsencode(shot / "a.png"), os.fsencode(shot) + b"/\xff\n$(x)<b>" + f"{number}.png".encode())


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (with_others, 3),
        (with_gaps, 3),
        (alone, 1),
        (with_a_link_within_the_inbox, 3),
        (with_names_of_any_bytes, 3),
    ],
)
def test_the_numbered_pictures_of_a_folder_are_a_clip(folder: Path, given: Callable[[Path], None], count: int) -> None:
    given(folder)
    ready = verdict(folder)
    assert isinstance(ready, Ready), ready
    assert (ready.films[0][:5], ready.frames) == ((64, 48, count, 0.0, "series"), count)


def of_other_size(folder: Path) -> None:
    frames(folder, "1.png", "2.png")
    picture(80, 48).save(folder / "shot" / "3.png")


def linked_out(folder: Path) -> None:
    shot = frames(folder, "1.png")
    picture(64, 48).save(folder.parent / "secret.png")
    (shot / "2.png").symlink_to(folder.parent / "secret.png")


def linked_out_as_a_whole(folder: Path) -> None:
    frames(folder, "1.png").rename(folder.parent / "elsewhere")
    (folder / "shot").symlink_to(folder.parent / "elsewhere")


def with_a_pipe(folder: Path) -> None:
    os.mkfifo(frames(folder, "1.png") / "2.png")


def with_a_folder(folder: Path) -> None:
    (frames(folder, "1.png") / "2.png").mkdir()


def too_many(folder: Path) -> None:
    frames(folder, *(f"{number}.png" for number in range(21)))


def with_a_liar(folder: Path) -> None:
    (frames(folder, "1.png") / "2.png").write_bytes(b"<html>no picture</html>" * 50)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda folder: frames(folder, "a1.png", "b1.png"), "frames of more than one clip, such as a1.png and b1.png"),
        (lambda folder: frames(folder, "1.png", "01.jpg"), "01.jpg and 1.png have one number"),
        (lambda folder: frames(folder, "cover.png"), "no numbered frames in it, such as 0001.png"),
        (lambda folder: (frames(folder) / "0001.exr").touch(), "0001.exr cannot be read; save as JPEG, PNG or TIFF"),
        (of_other_size, "3.png has 80×48 pixels, 1.png 64×48; frames of a clip are of one size"),
        (linked_out, "shot/2.png: leads outside the inbox"),
        (linked_out_as_a_whole, "shot: leads outside the inbox"),
        (with_a_pipe, "shot/2.png: a pipe, not an image file"),
        (with_a_folder, "shot/2.png: a folder, not an image file"),
        (with_a_liar, "shot/2.png: a web page"),
        (too_many, "shot: 21 frames; how long that takes is not measured yet on this machine; the limit is 20"),
    ],
)
def test_what_is_no_clip_is_told(folder: Path, given: Callable[[Path], Any], said: str) -> None:
    given(folder)
    found = verdict(folder)
    assert isinstance(found, Rejected), found
    assert said in found.reason


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"frames": False}, "shot: a folder. If it has numbered frames of a clip, say `frames: true`"),
        ({"start": 1}, "shot: a folder of frames; `start` and `end` are of a video"),
        ({"sweep": {"strength": [1, 2]}}, "shot: a folder of frames; a sweep is of photos"),
    ],
)
def test_what_frames_cannot_have_is_said(folder: Path, fields: dict[str, Any], said: str) -> None:
    frames(folder, "1.png", "2.png")
    found = verdict(folder, **fields)
    assert isinstance(found, Rejected)
    assert said in found.reason


@pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
def test_a_folder_waits_until_each_frame_is_whole(folder: Path, part: float) -> None:
    shot = frames(folder, "1.png", "2.png", "3.png")
    data = (shot / "2.png").read_bytes()
    (shot / "2.png").write_bytes(data[: int(part * len(data))])
    found = verdict(folder)
    assert isinstance(found, Waiting)
    assert "shot/2.png" in found.reason


def test_frames_that_no_look_is_long_enough_for_are_looked_at_a_few_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.inbox.series.LOOK_SECONDS", 0.0003)
    frames(folder, *(f"{number}.png" for number in range(9)))
    picture(seed=2).save(folder / "painting.png")
    (folder / "job.json").write_text(json.dumps({"content": "shot", "style": "painting.png", "frames": True}))
    inbox = at_once(folder, limits=LIMITS)
    found = [only(inbox) for _ in range(30)]
    assert isinstance(found[1], Waiting)
    assert isinstance(found[-1], Ready)


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
def test_an_animation_is_a_clip_where_its_manifest_says_so_and_waits_until_it_is_whole(folder: Path, form: str) -> None:
    images = [picture(64, 48, seed=number) for number in range(5)]
    path = folder / f"moves.{form}"
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    ready = verdict(folder, content=path.name)
    assert isinstance(ready, Ready)
    assert (ready.films[0].kind, ready.frames) == ("animation", 5)
    still = verdict(folder, content=path.name, frames=False)
    assert isinstance(still, Ready)
    assert (still.films[0].kind, still.frames) == ("photo", 1)
    path.write_bytes(path.read_bytes()[:-20])
    assert isinstance(verdict(folder, content=path.name), Waiting)


def test_a_picture_that_does_not_move_is_a_photo_whatever_its_manifest_says(folder: Path) -> None:
    picture(64, 48).save(folder / "still.gif")
    ready = verdict(folder, content="still.gif")
    assert isinstance(ready, Ready)
    assert (ready.films[0].kind, ready.frames) == ("photo", 1)


def test_a_copy_that_is_none_of_ours_is_told(tmp_path: Path) -> None:
    foreign = series.header(series.Numbered("a.png", "../../etc/x"), 0)
    cut_off = series.header(series.Numbered("1.png", "1"), 5000) + b"\x89PNG"
    for number, data in enumerate((b"no tar" * 200, foreign, cut_off)):
        (tmp_path / str(number)).write_bytes(data + series.END)
        with (tmp_path / str(number)).open("rb") as file, pytest.raises(ImageError, match="its copy"):
            list(series.frames_of(file, "shot", 10**6))


def test_numbers_are_told_apart_from_names_and_sorted_as_numbers() -> None:
    names = ["b2k_0010.png", "b2k_9.png", "b2k_.png", "B2K_1.jpg"]
    assert [frame.digits for frame in series.numbered("shot", names)] == ["1", "9", "0010"]


def test_regular_gaps_are_none() -> None:
    def told(*digits: str) -> str:
        return series.gap([series.Numbered(f"{each}.png", each) for each in digits])

    assert told("1", "3", "5") == told("1") == ""
    assert told("1", "2", "5") == "after frame 2 some are not there; the others are painted"


@pytest.mark.parametrize("asks_for_frames", [True, False])
def test_what_lies_outside_is_told_alike_whatever_it_is(folder: Path, tmp_path: Path, asks_for_frames: bool) -> None:
    """A manifest does not ask which folders a machine has."""
    private = tmp_path / "private"
    (private / "shots").mkdir(parents=True)
    (private / "file").touch()
    told = set()
    for name in ("shots", "file", "nothing"):
        found = verdict(folder, content=str(private / name), frames=asks_for_frames)
        assert isinstance(found, Rejected)
        told.add(found.reason.replace(name, "…"))
    assert len(told) == 1
    assert "leads outside the inbox" in told.pop()
