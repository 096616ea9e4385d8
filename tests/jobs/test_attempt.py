"""Attempts: one worker each, going on from the last, fenced by the record and the runner's lease."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.jobs import attempt, checkpoint, lock, losses, previews, result
from pipeline.jobs.attempt import Fence, Worker
from pipeline.jobs.checkpoint import Checkpoint
from pipeline.jobs.losses import Loss
from pipeline.jobs.result import Done, Failed
from pipeline.jobs.spool import Spool
from tests.runner.conftest import DONE, admit


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    (tmp_path / "jobs").mkdir()
    spool = Spool(tmp_path / "jobs")
    spool.prepare()
    return spool


def make_steps(folder: Path, steps: int) -> None:
    with losses.opened(folder, keep=0) as log:
        for step in range(1, steps + 1):
            log.write(Loss(step=step, scale=64, total=step, content=0, style=step, total_variation=0))
    checkpoint.save(folder, Checkpoint(steps, 0, [np.full(3, steps, np.float32)], 1.0), "job")


def reached(folder: Path) -> int | None:
    found = checkpoint.load(folder, "job", [(10, [(3,)])])
    assert not isinstance(found, str)
    return found.step if found else None


def test_a_loss_log_counts_up_to_where_a_step_is_twice_or_missing(tmp_path: Path) -> None:
    make_steps(tmp_path, 6)
    lines = (tmp_path / losses.FILE).read_bytes().splitlines(keepends=True)
    for odd in ([*lines[:3], lines[2], *lines[3:]], [*lines[:3], *lines[4:]]):
        (tmp_path / losses.FILE).write_bytes(b"".join(odd))
        assert [loss.step for loss in losses.read(tmp_path)] == [1, 2, 3]


def test_an_attempt_is_begun_once(tmp_path: Path) -> None:
    attempt.begin(tmp_path, 1, Worker(address="tcp://one"))
    with pytest.raises(FileExistsError):
        attempt.begin(tmp_path, 1, Worker(address="tcp://two"))
    found = attempt.worker(attempt.place(tmp_path, 1))
    assert found is not None and found.address == "tcp://one"


def test_an_attempt_goes_on_from_the_last_that_came_to_anything(tmp_path: Path) -> None:
    make_steps(attempt.begin(tmp_path, 1, Worker()), 5)
    make_steps(attempt.begin(tmp_path, 2, Worker()), 8)
    attempt.place(tmp_path, 3).mkdir()  # its worker died before it had done anything
    own = attempt.begin(tmp_path, 10, Worker())
    assert (reached(own), len(losses.read(own))) == (8, 8)
    assert [path.name for path in attempt.outdated(tmp_path)] == ["attempt-1", "attempt-2", "attempt-3"]


def test_what_a_zombie_writes_is_not_seen_by_its_successor(tmp_path: Path) -> None:
    first = attempt.begin(tmp_path, 1, Worker())
    make_steps(first, 5)
    with (first / losses.FILE).open("ab") as zombies_log:
        second = attempt.begin(tmp_path, 2, Worker())
        zombies_log.write(b'{"step": 6')
    make_steps(first, 9)
    result.leave(first, Failed(reason="a zombie's"))
    assert (reached(second), len(losses.read(second))) == (5, 5)
    assert result.read(second) is None


def test_an_attempt_at_a_sweep_is_spread_over_what_has_no_picture_and_each_variant_is_begun_once(spool: Spool) -> None:
    job = spool.start(admit(spool, "a", "sweep: {seed: [1, 2, 3]}"))
    folder = spool.running / job.id
    assert attempt.spread(folder, job) == [1, 2, 3]
    workers = {number: Worker(pid=number) for number in (1, 2)}
    first, _ = (attempt.begin(folder, 1, worker, number) for number, worker in workers.items())
    with pytest.raises(FileExistsError):
        attempt.begin(folder, 1, Worker(pid=3), 1)
    assert [worker.pid for worker in attempt.workers(attempt.place(folder, 1))] == [1, 2]
    result.leave(first, DONE, {DONE.output.file: b"a picture"})
    assert [worker.pid for worker in attempt.workers(attempt.place(folder, 1))] == [2]
    assert attempt.spread(folder, job.model_copy(update={"attempts": 2})) == [2, 3]
    assert isinstance(result.read(attempt.place(folder, 2, 1)), Done)


@pytest.mark.parametrize("has_links", [True, False])
def test_a_sweep_keeps_its_finished_variants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:
    first = attempt.begin(tmp_path, 1, Worker())
    for number in ("001", "002"):
        place = first / "variants" / number
        place.mkdir(parents=True)
        make_steps(place, int(number))
    result.leave(first / "variants" / "001", result.Failed(reason="to be tried again"))
    result.leave(first / "variants" / "002", DONE, {DONE.output.file: b"a picture"})
    previews.leave(first / "variants" / "002", {"picture": b"a small one"})
    if not has_links:

        def refused(*_: object, **__: object) -> None:
            raise PermissionError(1, "no links here")

        monkeypatch.setattr(os, "link", refused)
    second = attempt.begin(tmp_path, 2, Worker())
    assert [reached(second / "variants" / number) for number in ("001", "002")] == [1, 2]
    assert result.read(second / "variants" / "001") is None
    assert result.read(second / "variants" / "002") == DONE
    assert [path.read_bytes() for path in result.files(second / "variants" / "002")] == [b"a picture"]
    assert [path.read_bytes() for path in previews.files(second / "variants" / "002")] == [b"a small one"]


class TestTheFence:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """Sets the time, in seconds from now."""
        begun = time.monotonic()
        return lambda seconds: monkeypatch.setattr(time, "monotonic", lambda: begun + seconds)

    def test_it_falls_when_another_attempt_is_recorded(self, spool: Spool, clock: Callable[[float], None]) -> None:
        job_id = admit(spool, "a")
        fence = Fence(spool.running / job_id, spool.start(job_id).attempts)
        assert fence.holds()
        spool.put_back(spool.load(job_id))
        assert not Fence(spool.running / job_id, 1).holds(), "it is back in the queue"
        spool.start(job_id)
        clock(2)
        assert not fence.holds()

    def test_it_falls_when_the_runner_does_not_renew_its_lease(
        self, spool: Spool, tmp_path: Path, clock: Callable[[float], None]
    ) -> None:
        job_id = admit(spool, "a")
        spool.start(job_id)
        with lock.runner_lock(tmp_path / "jobs"):
            lease = lock.Lease(tmp_path / "jobs")
            fence = Fence(spool.running / job_id, 1)
            for seconds in (0, 40, 80, 120):
                clock(seconds)
                lease.renew()
                assert fence.holds()
            clock(185)
            assert not fence.holds()
            lease.renew()
            clock(190)
            assert not fence.holds(), "once lost, it stays lost"


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(b"a pictur"), lambda path: path.write_bytes(b"")]
)
def test_a_variant_whose_picture_is_not_whole_is_painted_again(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    first = attempt.begin(tmp_path, 1, Worker())
    for number in ("001", "002"):
        (first / "variants" / number).mkdir(parents=True)
        result.leave(first / "variants" / number, DONE, {DONE.output.file: b"a picture"})
    harm(first / "variants" / "001" / result.RESULT / DONE.output.file)
    second = attempt.begin(tmp_path, 2, Worker())
    assert result.read(second / "variants" / "001") is None
    assert result.read(second / "variants" / "002") == DONE
