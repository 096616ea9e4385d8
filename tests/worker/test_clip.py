"""Clips of six frames, painted by a tiny extractor in this process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.engine.stylize import Stylizer
from pipeline.jobs import attempt, clips, frames, losses, result
from pipeline.jobs.record import Job, JobImage, new_id
from pipeline.jobs.result import Done
from pipeline.manifest.model import Limits
from pipeline.manifest.parse import parse_manifest
from pipeline.pictures.metadata import inputs_told
from pipeline.worker.inputs import InputLoader
from pipeline.worker.paint import paint
from pipeline.worker.session import Options
from tests.conftest import SMALL, opened, picture
from tests.pictures.test_clips import video

av = pytest.importorskip("av")

QUICK = {**SMALL, "frame_steps": 3, "protect": "off"}


def moving(number: int) -> Any:
    """A soft picture that moves to the left by two pixels a frame."""
    return np.asarray(picture(120, 64, seed=5).convert("RGB"))[:48, 2 * number : 2 * number + 64]


def cut(number: int) -> Any:
    return moving(number) if number < 3 else np.asarray(picture(64, 48, seed=9).convert("RGB"))


def staged(folder: Path, data: bytes, painting: Image.Image, **fields: Any) -> Job:
    """A job's folder as staging leaves it; gives the record."""
    parameters = {**QUICK, **fields.pop("parameters", {})}
    document = {"content": "clip.mp4", "style": "painting.png", "parameters": parameters, **fields}
    manifest = parse_manifest(json.dumps(document).encode(), "clip.json", "clip")
    folder.mkdir()
    painting.save(folder / "style-1.png")
    (folder / "content.mp4").write_bytes(data)
    with (folder / "content.mp4").open("rb") as file:
        film = clips.verify(file, "clip.mp4", 10**6)
    images = {}
    for part, name, size in (("content", "clip.mp4", film[:2]), ("style-1", "painting.png", (80, 64))):
        stored = part + Path(name).suffix
        digest = hashlib.sha256((folder / stored).read_bytes()).hexdigest()
        images[part] = JobImage(file=name, stored=stored, sha256=digest, width=size[0], height=size[1])
    facts = {"frames": clips.frames(manifest, film, Limits()), "kind": film.kind}
    images["content"] = images["content"].model_copy(update=facts)
    return Job.new(new_id("clip"), manifest, images)


class Worker:
    """Paints jobs in folders below one."""

    def __init__(self, root: Path, weights: Path) -> None:
        self.root = root
        self._options = Options(weights, 10**8, checkpoint_seconds=0.0, device="cpu")

    def stage(
        self, data: bytes, name: str = "job", painting: Image.Image | None = None, **fields: Any
    ) -> tuple[Job, Path]:
        return staged(self.root / name, data, painting or picture(seed=2), **fields), self.root / name

    def paint(self, job: Job, sources: Path, number: int = 1, should_stop: Callable[[], bool] = lambda: False) -> bool:
        own = attempt.begin(sources, number, attempt.Worker())
        return paint(job, sources, own, self._options, InputLoader(), should_stop)

    def whole(
        self, data: bytes, name: str = "job", painting: Image.Image | None = None, **fields: Any
    ) -> tuple[Done, Path]:
        """A clip that is painted without a pause, and the folder of its attempt."""
        job, sources = self.stage(data, name, painting, **fields)
        assert self.paint(job, sources)
        return self.result(sources), attempt.place(sources, 1)

    def result(self, sources: Path, number: int = 1) -> Done:
        found = result.read(attempt.place(sources, number))
        assert isinstance(found, Done)
        return found


@pytest.fixture
def worker(tmp_path: Path, tiny_weights: Path) -> Worker:
    return Worker(tmp_path, tiny_weights)


def painted(own: Path, found: Done) -> list[Any]:
    return [frames.picture(own, row["frame"]) for row in found.frames or []]


def shown(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_each_frame_is_painted_from_those_before_it(worker: Worker) -> None:
    found, own = worker.whole(video(draw=moving))
    rows = found.frames
    assert rows is not None
    assert [row["frame"] for row in rows] == list(range(1, 7))
    assert [row["steps"] for row in rows] == [6, 3, 3, 3, 3, 3]
    assert [row["flicker"] is None for row in rows] == [True] + [False] * 5
    assert all(row["trusted"] > 0.5 and row["temporal"] > 0 for row in rows[1:])
    assert [loss.step for loss in losses.read(own)] == list(range(1, 22))


def test_it_flickers_less_than_frames_that_are_painted_one_by_one(
    tmp_path: Path, real_weights: Path, shared: Path
) -> None:
    """With the real VGG-19; what a tiny one paints in a few steps flickers as chance has it."""
    worker = Worker(tmp_path, real_weights)
    photo = np.asarray(opened(shared / "images" / "chicago.jpg").convert("RGB").resize((120, 90)))
    painting = opened(shared / "images" / "wave.jpg").resize((80, 64))

    def flicker(name: str, **parameters: Any) -> float:
        data = video(draw=lambda number: photo[20:68, 2 * number : 2 * number + 64], count=4)
        given = {"steps_per_epoch": 20, "frame_steps": 10, **parameters}
        found, _ = worker.whole(data, name, painting, parameters=given)
        return sum(row["flicker"] or 0 for row in found.frames or [])

    assert flicker("together") < 0.3 * flicker("apart", frame_steps=20, temporal_weight=0)


def test_after_a_cut_a_scene_is_painted_anew(worker: Worker) -> None:
    found, _ = worker.whole(video(draw=cut))
    assert [row["scene"] for row in found.frames or []] == [1, 1, 1, 2, 2, 2]
    assert [row["steps"] for row in found.frames or []] == [6, 3, 3, 6, 3, 3]


@pytest.mark.parametrize("init", ["content", "style"])
def test_each_scene_starts_from_what_is_asked_for(worker: Worker, monkeypatch: pytest.MonkeyPatch, init: str) -> None:
    starts: list[Any] = []
    run = Stylizer.run

    def noted(stylizer: Stylizer, *given: Any) -> Any:
        starts.append(given[4])
        return run(stylizer, *given)

    monkeypatch.setattr(Stylizer, "run", noted)
    worker.whole(video(draw=cut), parameters={"init": init})
    first, fourth = starts[0], starts[3]
    assert (first is None) is (init == "content")
    assert first is fourth
    assert all(start is not first for number, start in enumerate(starts) if number not in (0, 3))


def test_what_is_chosen_is_chosen_once_and_makes_the_same_frames_again(worker: Worker) -> None:
    data = video(draw=cut)
    first, own = worker.whole(data, "first", parameters={"protect": "auto", "denoise": "auto"})
    assert first.chosen["style_weight"] != "auto"
    assert "protect" not in first.chosen  # each frame has its own faces
    parameters = {"protect": "auto", "denoise": "auto", **first.chosen}
    again, own_again = worker.whole(data, "again", parameters=parameters)
    assert again.chosen == {}
    for one, other in zip(painted(own, first), painted(own_again, again), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("at", range(1, 26, 3))
def test_a_stop_goes_on_at_the_frame_and_within_it_to_the_same_bytes(worker: Worker, at: int) -> None:
    """Between steps, between frames, and while the file is written."""
    data = video(draw=cut, sound="aac")
    whole, _ = worker.whole(data, "whole")
    job, sources = worker.stage(data, "stopped")
    asked = iter(range(1000))
    assert worker.paint(job, sources, 1, lambda: next(asked) >= at) is False
    assert worker.paint(job, sources, 2)
    assert worker.result(sources, 2).output.sha256 == whole.output.sha256
    rows = zip(worker.result(sources, 2).frames or [], whole.frames or [], strict=True)
    assert all({**one, "seconds": 0} == {**other, "seconds": 0} for one, other in rows)
    assert [loss.step for loss in losses.read(attempt.place(sources, 2))] == list(range(1, 25))


def exchange_a_frame(own: Path) -> None:
    Image.new("RGB", (64, 48)).save(frames.files(own)[1])


def cut_a_frame(own: Path) -> None:
    path = frames.files(own)[1]
    path.write_bytes(path.read_bytes()[:-40])


def lose_a_frame(own: Path) -> None:
    frames.files(own)[1].unlink()


def lose_the_log(own: Path) -> None:
    (own / losses.FILE).unlink()


@pytest.mark.parametrize("harm", [exchange_a_frame, cut_a_frame, lose_a_frame, lose_the_log])
def test_what_is_damaged_meanwhile_is_painted_again(worker: Worker, harm: Callable[[Path], None]) -> None:
    data = video(draw=moving)
    whole, _ = worker.whole(data, "whole")
    job, sources = worker.stage(data, "stopped")
    asked = iter(range(1000))
    assert worker.paint(job, sources, 1, lambda: next(asked) >= 16) is False
    harm(attempt.place(sources, 1))
    assert worker.paint(job, sources, 2)
    assert worker.result(sources, 2).output.sha256 == whole.output.sha256


def test_frames_of_other_parameters_are_not_gone_on_with(worker: Worker) -> None:
    data = video(draw=moving)
    job, sources = worker.stage(data)
    asked = iter(range(1000))
    assert worker.paint(job, sources, 1, lambda: next(asked) >= 16) is False
    assert job.manifest is not None
    other = job.manifest.parameters.model_copy(update={"strength": 2.0})
    changed = job.model_copy(update={"manifest": job.manifest.model_copy(update={"parameters": other})})
    assert worker.paint(changed, sources, 2)
    assert len(losses.read(attempt.place(sources, 2))) == 21


def test_a_part_has_its_own_frames_and_sound(worker: Worker) -> None:
    found, own = worker.whole(video(draw=moving, count=20, sound="aac"), start=0.5, end=1.0)
    assert [row["time"] for row in found.frames or []] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    with av.open(str(own / result.RESULT / found.output.file)) as container:
        assert [frame.time for frame in container.decode(video=0)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-3)
    with av.open(str(own / result.RESULT / found.output.file)) as container:
        heard = [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.size]
    assert max(heard) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_the_file_shows_the_frames(worker: Worker, codec: str) -> None:
    found, own = worker.whole(video(draw=moving), parameters={"video_codec": codec, "crf": 5})
    for kept, seen in zip(painted(own, found), shown(own / result.RESULT / found.output.file), strict=True):
        assert np.abs(kept.astype(int) - seen).mean() < 8


def test_with_the_photos_colours_only_the_lightness_is_painted(worker: Worker) -> None:
    found, own = worker.whole(video(draw=moving), parameters={"color": "content", "crf": 5})
    seen = shown(own / result.RESULT / found.output.file)
    for number, frame in enumerate(seen):
        wanted = moving(number).astype(float)
        chroma = [(levels - levels.mean(-1, keepdims=True)).mean((0, 1)) for levels in (wanted, frame.astype(float))]
        assert np.abs(chroma[0] - chroma[1]).max() < 8


def test_its_file_says_of_what_it_was_made(worker: Worker) -> None:
    """By which the newer of two takes the place of the older among the pictures."""
    job, sources = worker.stage(video(draw=moving))
    assert worker.paint(job, sources)
    path = attempt.place(sources, 1) / result.RESULT / worker.result(sources).output.file
    with path.open("rb") as file:
        assert inputs_told(file) == {part: image.sha256 for part, image in job.images.items()}
    assert len(shown(path)) == 6
