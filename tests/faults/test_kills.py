"""Promises 1 and 4 of docs/reliability.md: whatever is killed or fails, every job ends exactly once."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs.record import name_in
from tests.conftest import SMALL, Place, opened, picture, wait_for, wait_until_said
from tests.faults.conftest import INJECTED, PARTS

# Shallow layers: a graph that is traced in no time, as a kill is followed by a start.
FAST = {
    "steps_per_epoch": 3,
    "pyramid": "off",
    "content_layers": ["block1_conv2"],
    "style_layers": ["block1_conv1"],
    "snapshots": 2,
}
BATCHES = {"folder": {"trip": "done", "bad": "failed"}, "flat": {"flat": "done"}, "style": {"trip": "done"}}


def drop_batch(place: Place, batch: str) -> None:
    """A job folder and a manifest that can only fail, or a flat manifest, or a photo in a style folder."""
    place.pair()
    if batch == "style":
        style_folder(place)
        place.photo("wave/trip.png", seed=1)
        return
    if batch == "flat":
        place.manifest("flat.yaml", parameters=FAST)
        return
    building = place.root / "building"
    building.mkdir()
    picture(seed=1).save(building / "photo.png")
    picture(seed=2).save(building / "painting.png")
    place.manifest("job.yaml", folder=building, parameters=FAST)
    building.rename(place.inbox / "trip")
    place.manifest("bad.yaml", parameters={"epochs": -1})


def style_folder(place: Place) -> None:
    """One without photos, ``wave``."""
    place.photo("wave/style.png", seed=2)
    style = {"style": "style.png", "parameters": {**SMALL, **FAST}}
    (place.inbox / "wave" / "style.json").write_text(json.dumps(style))


def faulty(place: Place, role: str, at: int, kind: str = "kill", engine: str = "stand-in") -> dict[str, str]:
    return {
        "PYTHONPATH": str(INJECTED),
        "ENGINE": engine,
        "FAULT_ROOT": str(place.root),
        "FAULT_LOG": str(place.root.parent / f"{place.root.name}-steps.log"),
        "FAULT_ROLE": role,
        "FAULT_AT": str(at),
        "FAULT_KIND": kind,
    }


def steps(place: Place) -> list[str]:
    return Path(faulty(place, "runner", 0)["FAULT_LOG"]).read_text().splitlines()


def assert_every_job_ended_once(place: Place, expected: dict[str, str]) -> None:
    logs = jobs_logs(place)
    assert {log["job"]["name"]: log["status"] for log in logs} == expected
    assert len(logs) == len(expected), "a job has two results"
    for log in logs:
        if log["status"] == "done":
            assert hashlib.sha256(place.result(log).read_bytes()).hexdigest() == log["output"]["sha256"]
            runs = [log] if "variants" not in log else variants(place, log)
            assert [run["loss"]["step"] for run in runs] == [[1, 2, 3]] * len(runs)
            kept = sorted(place.result(log).parent.glob("*.snapshots/*"))
            assert [(path.name, opened(path).format) for path in kept] == [("snapshot-000002.png", "PNG")] * len(runs)
    ended = [path.name.removesuffix(".json") for state in ("done", "failed") for path in (place.jobs / state).iterdir()]
    assert sorted(ended) == sorted(log["job"]["id"] for log in logs)
    left = {path.name for path in place.inbox.iterdir()}
    assert left == {"painting.png", "photo.png"} | ({".painted", "wave"} if "wave" in left else set())
    assert place.leftovers() == []


def jobs_logs(place: Place) -> list[dict[str, Any]]:
    """Those of whole jobs, without the variants of sweeps."""
    return [log for log in place.logs() if log["job"]["name"] == name_in(log["job"]["id"])]


def variants(place: Place, log: dict[str, Any]) -> list[dict[str, Any]]:
    """The logs of a sweep's variants, each with its picture."""
    folder = place.outbox / log["job"]["id"]
    found = [json.loads((folder / f"{row['variant']}.json").read_text()) for row in log["variants"]]
    for one in found:
        picture = (folder / one["output"]["file"]).read_bytes()
        assert hashlib.sha256(picture).hexdigest() == one["output"]["sha256"]
    return found


def finish(place: Place, environment: dict[str, str] | None = None) -> None:
    """Run what is left, beside the same engine and without a fault."""
    done = place.run("run", environment={**(environment or {}), "FAULT_ROOT": ""})
    assert done.returncode in (0, 1), done.stderr


StepsOf = Callable[..., list[str]]


@pytest.fixture(scope="session")
def steps_of(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> StepsOf:
    """Tells the steps that a role takes over a batch, as far as a kind of fault counts them.

    From the queue on every job's steps are those of a job folder, so other batches end where the claim does.
    """

    @functools.cache
    def taken_by(role: str, batch: str, kind: str = "kill") -> list[str]:
        place = Place(tmp_path_factory.mktemp(role), tiny_weights)
        drop_batch(place, batch)
        place.run("run", "--checkpoint-seconds", "0", environment=faulty(place, role, 0, kind))
        assert_every_job_ended_once(place, BATCHES[batch])
        taken = steps(place)
        if batch != "folder":
            taken = taken[: 1 + max(n for n, step in enumerate(taken) if "/.claimed" in step)]
        assert len(taken) > 20
        return taken

    return taken_by


@pytest.mark.stand_in
def test_until_stops_with_a_checkpoint_and_the_next_night_goes_on(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml", parameters={"steps_per_epoch": 9000, "epochs": 3})
    # In a time zone in which the next minute begins in so many seconds: a worker has to start before.
    now, remaining = int(time.time()), 30
    ahead = (60 - remaining - now) % 60
    soon = time.gmtime(now + ahead + remaining)
    zone = {"TZ": f"HERE-00:00:{ahead:02}"}
    process = place.start("run", "--until", f"{soon.tm_hour:02}:{soon.tm_min:02}", environment=zone)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert "the time is up" in errors
    (queued,) = (place.jobs / "queued").iterdir()
    done = (queued / "attempt-1" / "loss.jsonl").read_text().count("\n")
    assert done > 0
    assert (queued / "attempt-1" / "checkpoint.npz").exists()
    again = place.start("run")
    losses = wait_for(lambda: next(iter((place.jobs / "running").glob("a-*/attempt-2/loss.jsonl")), None))
    wait_for(lambda: losses.read_text().count("\n") > done)
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)


class TestAtEveryStep:
    """One fault, at each file-system step of a batch in turn."""

    @pytest.mark.parametrize(
        ("role", "batch"), [("runner", "folder"), ("worker", "folder"), ("runner", "flat"), ("runner", "style")]
    )
    def test_a_kill_at_any_step_loses_nothing(
        self, tmp_path: Path, tiny_weights: Path, steps_of: StepsOf, role: str, batch: str, part: int, is_long: bool
    ) -> None:
        taken = steps_of(role, batch)
        chosen = range(1 + part, len(taken) + 1, PARTS)[: None if is_long else 1]
        kills = 0
        for at in chosen:
            place = Place(tmp_path / str(at), tiny_weights)
            drop_batch(place, batch)
            is_real = part == 0 and role == "worker"
            environment = faulty(place, role, at, engine="real" if is_real else "stand-in")
            killed = place.run("run", "--checkpoint-seconds", "0", environment=environment)
            is_over = at - 3 <= len(steps(place)) < at  # what is written now and then makes a step more or less
            kills += not is_over
            if role == "runner" and not is_over:
                assert killed.returncode == -signal.SIGKILL, steps(place)[-1]
                finish(place, environment)
            else:  # it came to its end; after a kill of its worker too, as it starts another by itself
                assert killed.returncode == 1, (steps(place)[-1], killed.stderr)
            assert_every_job_ended_once(place, BATCHES[batch])
        print(f"kills survived: {kills} of {len(taken)} steps of the {role}, {batch}")

    @pytest.mark.parametrize("role", ["runner", "worker"])
    def test_a_disk_that_fails_from_any_step_on_blames_no_job(
        self, tmp_path: Path, tiny_weights: Path, steps_of: StepsOf, role: str, kind_of_error: str, is_long: bool
    ) -> None:
        count = len(steps_of(role, "folder", kind_of_error))
        for at in range(1, count + 1, 1 + count // 2) if is_long else (count // 2,):
            place = Place(tmp_path / str(at), tiny_weights)
            drop_batch(place, "folder")
            environment = faulty(place, role, at, kind_of_error)
            faulted = place.run("run", "--checkpoint-seconds", "0", environment=environment)
            assert faulted.returncode in (0, 1, 3), (steps(place)[-1], faulted.stderr)
            assert all(log["job"]["name"] == "bad" for log in place.logs() if log["status"] == "failed")
            finish(place, environment)
            assert_every_job_ended_once(place, BATCHES["folder"])

    @pytest.mark.parametrize("role", ["runner", "worker"])
    def test_a_moments_fault_at_any_step_is_survived_by_a_watcher(
        self, tmp_path: Path, tiny_weights: Path, steps_of: StepsOf, role: str, is_long: bool
    ) -> None:
        taken = steps_of(role, "folder", "EIO")
        first = next((n for n, step in enumerate(taken, 1) if "mkdir" in step and "/queued" in step), 1)
        # In short, for the runner: just after the rename that starts a job, before it is durable.
        started = next((n for n, step in enumerate(taken, 1) if "/running/" in step), len(taken) // 2)
        for at in range(first, len(taken) + 1, 1 + len(taken) // 4) if is_long else (started + 1,):
            place = Place(tmp_path / str(at), tiny_weights)
            drop_batch(place, "folder")
            environment = {**faulty(place, role, at, "EIO"), "FAULT_FOR": "2"}
            process = place.start("watch", "--checkpoint-seconds", "0", quiet=True, environment=environment)
            filed = [place.jobs / state for state in ("done", "failed")]
            wait_for(lambda filed=filed: sum(len(list(f.glob("*"))) for f in filed) == len(BATCHES["folder"]))  # type: ignore[misc]
            wait_for(lambda place=place: not any((place.jobs / "running").iterdir()))  # type: ignore[misc]
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
            assert len(steps(place)) >= at, "the fault was never met"
            finish(place, environment)  # what could not be cleaned up is left to the next start
            assert_every_job_ended_once(place, BATCHES["folder"])


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def test_kills_at_random_instants_lose_nothing(place: Place, night: int, is_long: bool) -> None:
    wanted = 50 if is_long else 4
    dice = random.Random(night)
    place.pair()
    style_folder(place)
    photos: dict[Path, bytes] = {}
    expected: dict[str, str] = {}
    kills = dict.fromkeys(("runner", "worker", "both"), 0)
    while sum(kills.values()) < wanted:
        while len(expected) - len(jobs_logs(place)) < 6:
            name, turn = f"job-{len(expected)}", len(expected) % 4
            if turn == 1:
                photo = place.photo(f"wave/{name}.png", seed=10 + len(expected))
                photos[photo] = photo.read_bytes()
            else:
                place.manifest(f"{name}.yaml", parameters=FAST, sweep={"seed": [1, 2]} if turn == 3 else None)
            expected[name] = "done"
        process = place.start("run", "--checkpoint-seconds", "0")
        for _ in range(3):
            time.sleep(dice.uniform(0.0, 2.5))
            victim = dice.choice(list(kills))
            worker = children(process.pid)
            # The runner has a resource tracker besides its worker; killing it too does no harm.
            victims = [*(worker if victim != "runner" else []), *([process.pid] if victim != "worker" else [])]
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if victims:
                kills[victim] += 1
            if victim != "worker" or process.poll() is not None:
                break
        process.kill()
        process.communicate()
    finish(place)
    logs = jobs_logs(place)
    failed = [log["job"]["name"] for log in logs if log["status"] == "failed"]
    # A job may be failed if it is on stage each time that its worker is shot: after three deaths, by design.
    assert all("died or hung 3 times" in log["error"] for log in logs if log["status"] == "failed")
    assert len(failed) <= kills["worker"] // 3
    print(f"kills survived: {kills}, jobs: {len(expected)}, failed for three deaths: {len(failed)}")
    assert_every_job_ended_once(place, {name: "failed" if name in failed else "done" for name in expected})
    assert {photo: photo.read_bytes() for photo in (place.inbox / "wave").glob("job-*")} == photos


class TestWorker:
    @pytest.mark.stand_in
    def test_a_job_that_kills_its_worker_three_times_fails_and_the_next_runs(self, place: Place) -> None:
        place.pair()
        place.manifest("1-deadly.yaml", parameters={"steps_per_epoch": 9000})
        place.manifest("2-good.yaml", parameters=FAST)
        process = place.start("run", "--checkpoint-seconds", "0")
        for _ in range(3):
            pid = wait_for(lambda: _worker_on(place, process.pid, "1-deadly"))
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))  # type: ignore[misc]
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 1, errors
        logs = {log["job"]["name"]: log for log in place.logs()}
        assert "its worker process died or hung 3 times" in logs["1-deadly"]["error"]
        assert logs["1-deadly"]["job"]["attempts"] == 3
        assert logs["2-good"]["status"] == "done"
        assert place.leftovers() == []

    @pytest.mark.stand_in
    def test_a_worker_that_hangs_is_replaced_and_the_job_goes_on(self, place: Place) -> None:
        place.pair()
        place.manifest("a.yaml", parameters={"steps_per_epoch": 100})
        process = place.start("run", "--checkpoint-seconds", "0", "--step-timeout", "10")
        pid = wait_for(lambda: _worker_on(place, process.pid, "a"))
        os.kill(pid, signal.SIGSTOP)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert "no step for 10 s; ending its worker" in errors
        (log,) = place.logs()
        assert log["job"]["attempts"] == 2
        assert log["loss"]["step"] == list(range(1, 101))

    @pytest.mark.stand_in
    def test_a_worker_that_somebody_else_tells_to_end_is_replaced_and_the_job_goes_on(self, place: Place) -> None:
        place.pair()
        place.manifest("a.yaml", parameters={"steps_per_epoch": 100, "pyramid": "off"})
        process = place.start("run", "--checkpoint-seconds", "0")
        os.kill(wait_for(lambda: _worker_on(place, process.pid, "a")), signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        (log,) = place.logs()
        assert log["job"]["attempts"] == 2
        assert log["loss"]["step"] == list(range(1, 101))

    @pytest.mark.parametrize("number", [pytest.param(signal.SIGKILL, marks=pytest.mark.stand_in), signal.SIGTERM])
    def test_a_worker_that_dies_while_idle_is_replaced(self, place: Place, number: signal.Signals) -> None:
        place.pair()
        place.manifest("a.yaml", parameters=FAST)
        process = place.start("watch", quiet=True)
        wait_for(place.logs)
        wait_for(lambda: not list((place.jobs / "running").iterdir()))
        (worker,) = _workers(process.pid)
        os.kill(worker, number)
        wait_for(lambda: not Path(f"/proc/{worker}").exists() or _is_zombie(worker))
        place.manifest("b.yaml", parameters=FAST)
        logs = wait_for(lambda: len(place.logs()) == 2 and place.logs())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert [(log["status"], log["job"]["attempts"]) for log in logs] == [("done", 1)] * 2

    def test_a_worker_dies_with_its_runner(self, place: Place) -> None:
        place.pair()
        place.manifest("a.yaml", parameters={"steps_per_epoch": 9000})
        process = place.start("run")
        pid = wait_for(lambda: _worker_on(place, process.pid, "a"))
        process.kill()
        process.communicate()
        wait_for(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), 20)


def _worker_on(place: Place, runner: int, name: str) -> int | None:
    """The worker's process id once the job has made some steps under it."""
    for losses in (place.jobs / "running").glob(f"{name}-*/attempt-*/loss.jsonl"):
        before = losses.stat().st_mtime_ns
        time.sleep(0.1)
        with contextlib.suppress(OSError):
            if losses.stat().st_mtime_ns != before:
                return next(iter(_workers(runner)), None)
    return None


def _workers(runner: int) -> list[int]:
    return [pid for pid in children(runner) if "pipeline.worker" in Path(f"/proc/{pid}/cmdline").read_text()]


def _is_zombie(pid: int) -> bool:
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


@pytest.mark.stand_in
def test_a_checkpoint_of_other_parameters_is_refused_saying_so(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml", parameters={"steps_per_epoch": 3000, "pyramid": "off"})
    process = place.start("run", "--checkpoint-seconds", "0")
    losses = wait_for(lambda: next(iter((place.jobs / "running").glob("a-*/attempt-*/loss.jsonl")), None))
    wait_for(lambda: losses.read_text().count("\n") > 5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    (record,) = (place.jobs / "queued").glob("*/job.json")
    record.write_text(record.read_text().replace('"steps_per_epoch": 3000', '"steps_per_epoch": 4'))
    done = place.run("run")
    assert "made with other weights, parameters or versions; starting over" in done.stderr
    (log,) = place.logs()
    assert log["loss"]["step"] == [1, 2, 3, 4]


@pytest.mark.stand_in
@pytest.mark.parametrize("kind", ["outbox", "jobs", "inbox"])
def test_a_share_that_goes_and_comes_back_is_waited_for(place: Place, kind: str) -> None:
    folder: Path = getattr(place, kind)
    place.pair()
    process: subprocess.Popen[str] = place.start("watch")
    wait_for(lambda: (place.jobs / ".runner.json").exists())
    away = place.root / "away"
    folder.rename(away)
    (place.inbox if kind != "inbox" else away).joinpath("a.yaml").write_text(
        "content: photo.png\nstyle: painting.png\nparameters: {image_size: 64, epochs: 1, steps_per_epoch: 3}\n"
    )
    wait_until_said(process, "Nothing is lost")
    assert process.poll() is None
    if folder.exists():
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir()
        folder.rmdir()
    away.rename(folder)
    wait_for(lambda: place.logs())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert [log["status"] for log in place.logs()] == ["done"]
    assert place.leftovers() == []
