"""What is said of the work that lies ahead, and of how far it is."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from tqdm.utils import disp_len

from pipeline import storage
from pipeline.forecast.paces import Paces
from pipeline.forecast.words import spoken
from pipeline.jobs import attempt
from pipeline.jobs.losses import FILE
from pipeline.jobs.previews import PAINTER
from pipeline.jobs.record import Job
from pipeline.jobs.spool import Spool
from pipeline.runner.progress import NAME_COLUMNS, Progress, fitting
from pipeline.runner.publisher import Tally
from tests.forecast.test_paces import known, losses
from tests.inbox.conftest import Clock
from tests.outbox.test_overview import of_clip
from tests.runner.conftest import admit

# By default 114 steps at 128, 57 at 256, 29 at 512 px, of a square photo.
STEPS = (128 * 128, 0.1), (256 * 256, 0.4), (512 * 512, 1.6)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    caplog.set_level(logging.INFO)
    return Clock(monkeypatch)


def seconds_of_a_job(folder: Path, paces: Paces) -> float:
    left = paces.left(Job.load(folder))
    assert left is not None
    return left


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """By the progress alone: a thread of another test may still have its say."""
    return [record.getMessage() for record in caplog.records if record.name == "pipeline.runner.progress"]


def test_the_work_is_told_once_and_its_time_when_it_is_known(
    spool: Spool, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    paces = Paces(tmp_path / "pace.json")
    progress = Progress(spool, paces)
    for name in "abc":
        admit(spool, name)
    job = spool.start("a-20260101-000000-0000")
    for is_settled in (False, True, True):
        clock.pass_(1)
        progress.turn(Tally(), 1, is_settled)
    assert said(caplog) == ["3 pictures; how long that takes is not measured yet on this machine"]
    known(tmp_path / "pace.json", *STEPS)
    for _ in range(2):
        clock.pass_(1)
        progress.turn(Tally(), 1, is_settled=True)
    each = seconds_of_a_job(spool.running / job.id, paces)
    assert said(caplog)[1:] == [f"3 pictures, about {spoken(3 * each)} on this CPU"]


def test_of_a_long_queue_the_first_tell_of_the_rest(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.runner.progress.RECORDS", 3)
    paces = known(tmp_path / "pace.json", *STEPS)
    for name in "abcdef":
        job_id = admit(spool, name)
    count, found = Progress(spool, paces).left()
    assert found is not None
    assert count == 6
    assert found.seconds == pytest.approx(2 * (8 + 3 * seconds_of_a_job(spool.queued / job_id, paces)))
    shutil.rmtree(spool.queued)
    assert Progress(spool, paces).left() == (0, None)


def test_a_job_that_goes_on_is_told_from_where_it_goes_on(
    spool: Spool, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    progress = Progress(spool, known(tmp_path / "pace.json", (160 * 160, 0.1), (320 * 320, 0.5)))
    job = spool.start(admit(spool, "a", "parameters: {image_size: 320, pyramid: {160: 40, 320: 20}}"))
    own = attempt.begin(spool.running / job.id, job.attempts, attempt.Worker())

    def told() -> list[str]:
        caplog.clear()
        clock.pass_(11)
        progress.turn(Tally(), 1, is_settled=False)
        return said(caplog)

    lines = "".join(f"{one.model_dump_json()}\n" for one in losses((160, 31, 0.1)))
    (own / FILE).write_text(lines)  # of the run before
    assert told() == []  # TensorFlow is loaded
    storage.write_json(own / PAINTER, {"device": "CPU", "precision": "float32"})
    assert told() == ["a: about 11 s left, 31/300 steps, 160 px, loss 1"]


def test_a_clip_is_told_by_its_frames_and_what_is_left_of_them(
    spool: Spool, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    progress = Progress(spool, known(tmp_path / "pace.json", (160 * 160, 0.1), (320 * 320, 0.5)))
    job = spool.start(admit(spool, "a", "parameters: {image_size: 320, pyramid: {160: 40, 320: 20}}"))
    own = attempt.begin(spool.running / job.id, job.attempts, attempt.Worker())
    of_clip(spool.running / job.id, frames=96)
    storage.write_json(own / PAINTER, {"device": "CPU", "precision": "float32"})
    seen = losses((320, 2300, 0.5))  # of several scenes, whose first frames have 60 steps
    (own / FILE).write_text("".join(f"{one.model_copy(update={'frame': 76}).model_dump_json()}\n" for one in seen))
    clock.pass_(11)
    progress.turn(Tally(), 1, is_settled=False)
    assert said(caplog) == ["a: about 4 min left, frame 76/96, 320 px, loss 1"]  # 20 frames of 25 steps


@pytest.mark.parametrize("name", ["harbour", "a rather long name of a photo", "海辺の町の写真と嵐の夜の絵"])
def test_a_name_leaves_room_for_the_bar(name: str) -> None:
    shown = fitting(name)
    assert disp_len(shown) <= NAME_COLUMNS
    assert name == shown or (shown.endswith("…") and name.startswith(shown.removesuffix("…")))
