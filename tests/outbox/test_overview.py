"""What `status` and the page are told of a jobs folder."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.errors import EnvironmentFault
from pipeline.forecast.paces import Estimate, Paces
from pipeline.forecast.work import Painting
from pipeline.jobs import attempt, cancel, report
from pipeline.jobs.lock import HOLDER
from pipeline.jobs.losses import FILE, Loss
from pipeline.jobs.previews import LIVE, PAINTER
from pipeline.jobs.record import VARIANTS, Job, now
from pipeline.jobs.report import Report
from pipeline.jobs.result import Failed
from pipeline.jobs.spool import Spool
from pipeline.outbox.overview import Overview, look
from pipeline.outbox.publish import publish
from tests.forecast.test_paces import known
from tests.runner.conftest import admit

DEAD = 2**22 + 1  # no process has such a number


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    (tmp_path / "outbox").mkdir()
    return tmp_path / "outbox"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    (tmp_path / "jobs").mkdir()
    spool = Spool(tmp_path / "jobs")
    spool.prepare()
    return spool


def looked(spool: Spool, outbox: Path) -> Overview:
    return look(spool, outbox, Paces(None))


def holder(spool: Spool, pid: int) -> None:
    storage.write_json(spool.folder / HOLDER, {"pid": pid, "host": socket.gethostname(), "since": now()})


def log_losses(folder: Path, count: int, frame: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    each = {"scale": 64, "content": 0, "style": 0, "total_variation": 0, "frame": frame}
    lines = [Loss(step=n, total=n, **each) for n in range(1, count + 1)]
    text = "".join(f"{line.model_dump_json()}\n" for line in lines)
    (folder / FILE).write_text(text + '{"step": 99')  # the last line is on its way


class TestTheRunner:
    def test_lives_ends_in_order_or_dies_without_a_word(self, spool: Spool, outbox: Path) -> None:
        assert looked(spool, outbox).runner.state == "none"
        holder(spool, os.getpid())
        assert looked(spool, outbox).runner.state == "alive"
        ended = Report(pid=os.getpid(), inbox="inbox", since=now(), ended_at=now(), done=3, failed=1)
        report.write(spool.folder, ended)
        told = looked(spool, outbox).runner  # by its last page, too, which it writes before it lets go of the lock
        assert (told.state, told.done, told.failed) == ("ended", 3, 1)
        (spool.folder / HOLDER).unlink()
        assert looked(spool, outbox).runner.state == "ended"
        holder(spool, DEAD)
        assert looked(spool, outbox).runner.state == "died"

    def test_work_without_one_is_left_alone(self, spool: Spool, outbox: Path) -> None:
        assert not looked(spool, outbox).is_left_alone
        assert looked(spool, outbox).model_copy(update={"dropped": 1}).is_left_alone
        admit(spool, "a")
        assert looked(spool, outbox).is_left_alone
        holder(spool, os.getpid())
        assert not looked(spool, outbox).is_left_alone

    def test_no_folder_is_told(self, tmp_path: Path, outbox: Path) -> None:
        with pytest.raises(EnvironmentFault, match="no jobs folder"):
            looked(Spool(tmp_path / "nowhere"), outbox)


def begun(spool: Spool, name: str) -> Path:
    """Where the worker of a job that runs writes."""
    job = spool.start(admit(spool, name))
    return attempt.begin(spool.running / job.id, job.attempts, attempt.Worker(host="h", pid=7))


def of_clip(folder: Path, frames: int) -> Job:
    """Have the job in a folder be one of so many frames, of 25 steps each but the first; gives its record."""
    job = Job.load(folder)
    assert job.manifest is not None
    images = job.images | {"content": job.images["content"].model_copy(update={"frames": frames})}
    job = job.model_copy(update={"images": images, "steps": job.manifest.steps + (frames - 1) * 25})
    job.save(folder)
    return job


class Measured(Paces):
    """A second for each step."""

    def left(self, job: Job, seen: Sequence[Loss] = (), at_once: int = 1, since_newest: float = 0.0) -> float:
        return job.steps - (seen[-1].step if seen else 0)

    def estimate(self, work: Sequence[Painting], workers: int = 1, is_warm: bool = False) -> Estimate:
        return Estimate(sum(painting.parameters.steps for painting in work), "CPU", is_reckoned=False)


class TestARunningJob:
    def test_is_told_stage_by_stage(self, spool: Spool, outbox: Path) -> None:
        folder = begun(spool, "a")
        (first,) = looked(spool, outbox).running
        assert (first.stage, first.worker, first.step, first.steps) == ("starting", "h:7", 0, 300)
        assert first.styles == ["painting.png"]
        storage.write_json(folder / PAINTER, {"device": "CPU", "precision": "float32"})
        (second,) = looked(spool, outbox).running
        assert (second.stage, second.device) == ("preparing", "CPU")
        log_losses(folder, 40)
        (folder / LIVE).touch()
        (third,) = looked(spool, outbox).running
        assert (third.stage, third.step, third.loss, third.scale) == ("painting", 40, 40, 64)
        assert third.preview == str(folder / LIVE)

    def test_counts_the_steps_of_all_variants(self, spool: Spool, outbox: Path) -> None:
        folder = begun(spool, "a")
        log_losses(folder / VARIANTS / "001", 30)
        log_losses(folder / VARIANTS / "002", 12)
        (running,) = looked(spool, outbox).running
        assert running.step == 42

    def test_a_clip_is_told_by_its_frames_however_many_steps_its_scenes_took(self, spool: Spool, outbox: Path) -> None:
        folder = begun(spool, "a")
        of_clip(folder.parent, frames=96)
        (first,) = looked(spool, outbox).running
        assert (first.frame, first.frames, first.steps) == (0, 96, 200 + 95 * 25)
        log_losses(folder, 600, frame=12)
        (second,) = looked(spool, outbox).running
        assert (second.frame, second.frames, second.step, second.steps) == (12, 96, 600, 600 + 84 * 25)

    def test_whose_record_or_painter_is_damaged_is_told_by_its_name(self, spool: Spool, outbox: Path) -> None:
        folders = [begun(spool, name) for name in "ab"]
        (folders[0].parent / "job.json").write_text("{")
        (folders[1] / PAINTER).write_text("[]")
        assert [(job.name, job.stage) for job in looked(spool, outbox).running] == [
            ("a", "starting"),
            ("b", "starting"),
        ]

    def test_that_another_attempt_goes_on_with_is_starting(self, spool: Spool, outbox: Path) -> None:
        folder = begun(spool, "a")
        storage.write_json(folder / PAINTER, {"device": "CPU", "precision": "float32"})
        job = Job.load(folder.parent)
        job.model_copy(update={"attempts": job.attempts + 1}).save(folder.parent)
        (running,) = looked(spool, outbox).running
        assert (running.stage, running.worker, running.device) == ("starting", None, None)


def test_a_process_that_starts_has_its_loading_before_the_steps(spool: Spool, outbox: Path, tmp_path: Path) -> None:
    known(tmp_path / "pace.json", (4096, 1.0))  # 8 s until a process paints
    paces = Measured(tmp_path / "pace.json")

    def left() -> float | None:
        return look(spool, outbox, paces).running[0].seconds_left

    def ago(seconds: float) -> str:
        return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()

    job = spool.start(admit(spool, "a"))
    folder = spool.running / job.id
    job.model_copy(update={"started_at": ago(2)}).save(folder)
    assert left() == pytest.approx(300 + 8 - 2, abs=0.5)
    job.model_copy(update={"started_at": ago(6)}).save(folder)
    own = attempt.begin(folder, job.attempts, attempt.Worker(host="h", pid=7, since=ago(1)))
    assert left() == pytest.approx(300 + 2, abs=0.5)
    log_losses(own, 10)
    assert left() == 290, "it is in its stride"
    job.model_copy(update={"started_at": ago(1.1)}).save(folder)
    assert left() == 290, "one that had another job before"
    log_losses(own, 300)
    attempt.leave(own)
    assert left() == 0, "it is about to be published"


def test_time_left_is_that_of_the_jobs_own_pace_and_of_the_whole_queue(spool: Spool, outbox: Path) -> None:
    folder = begun(spool, "a")
    for number in range(30):
        admit(spool, f"b{number}")
    log_losses(folder, 100)
    told = look(spool, outbox, Measured(None))
    assert told.running[0].seconds_left == 200
    assert told.queue.jobs[0].seconds_left == 200
    assert told.queue.seconds_left == 200 + 30 * 200
    assert looked(spool, outbox).queue.seconds_left is None


def test_the_queue_is_told_in_its_order_and_nothing_is_touched(spool: Spool, outbox: Path) -> None:
    for name in "cab":
        admit(spool, name)
    (spool.queued / "notes.txt").touch()
    told = looked(spool, outbox)
    assert [job.name for job in told.queue.jobs] == ["a", "b", "c"]
    assert told.queue.count == 3
    assert (spool.queued / "notes.txt").exists()


@pytest.mark.parametrize(("hours", "counted"), [(1, 1), (23, 1), (25, 0)])
def test_failures_count_for_a_day(
    spool: Spool, outbox: Path, hours: float, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    monkeypatch.setattr("pipeline.outbox.publish.now", lambda: moment)
    job = spool.start(admit(spool, "a"))
    storage.at_once(publish(outbox, job, spool.running / job.id, Failed(reason="no")))
    spool.fail(job.id)
    told = looked(spool, outbox)
    assert (told.failed, told.failed_since_yesterday) == (1, counted)
    assert told.recent[0].error == "no"


def test_what_is_printed_is_what_is_documented(spool: Spool, outbox: Path) -> None:
    admit(spool, "a")
    text = (Path(__file__).parents[2] / "docs" / "status.md").read_text()
    told = json.loads(looked(spool, outbox).model_dump_json())
    assert told["schema"] == "stylistic.status/1"
    names = [*told, *told["runner"], *told["queue"], *told["queue"]["jobs"][0]]
    names += [*Overview.model_json_schema()["$defs"]["Running"]["properties"], "reason", "is_fault", "error"]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_what_was_cancelled_is_no_failure(spool: Spool, outbox: Path) -> None:
    job = spool.start(admit(spool, "a"))
    storage.at_once(publish(outbox, job, spool.running / job.id, Failed(reason=f"{cancel.PREFIX}somebody.")))
    spool.fail(job.id)
    told = looked(spool, outbox)
    assert (told.failed, told.failed_since_yesterday, told.recent[0].status) == (1, 0, "cancelled")
