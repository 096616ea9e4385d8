"""Promises 4, 7 and 8 of docs/reliability.md: crowds, slow writers, full disks."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.inbox import places, readiness
from pipeline.inbox.readiness import Ready
from tests.conftest import SMALL, Place, picture, wait_for, wait_until_said
from tests.inbox.conftest import make

pytestmark = pytest.mark.stand_in

QUICK = {**SMALL, "steps_per_epoch": 1}


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)


def ended(place: Place) -> list[str]:
    """The names of all jobs, in whatever state."""
    folders = [place.jobs / state for state in ("queued", "running", "failed", "done")]
    ids = [path.name.removesuffix(".json") for folder in folders for path in folder.iterdir()]
    return sorted(job_id.rsplit("-", 3)[0] for job_id in ids)


def test_a_crowd_of_manifests_is_taken_in_while_the_first_jobs_run(place: Place, is_long: bool) -> None:
    count = 10_000 if is_long else 200
    place.pair()
    text = yaml.safe_dump({"content": "photo.png", "style": "painting.png", "parameters": QUICK})
    for number in range(count):
        (place.inbox / f"{number:05}.yaml").write_text(text)
    process = place.start("watch", quiet=True)

    def left() -> list[str]:
        return [name.removesuffix(".yaml") for name in os.listdir(place.inbox) if name.endswith(".yaml")]

    try:
        wait_for(lambda: place.outbox.exists() and place.logs())
        at_first_result = len(left())
        wait_for(lambda: len(left()) < count * 9 // 10, 600)
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
        assert peak < 400_000, "kilobytes; what waits must not pile up in memory"
    finally:
        stop(process)
    assert at_first_result > 0 or not is_long, "the first result came only after all had been taken in"
    names = [*ended(place), *left()]
    assert not list((place.inbox / ".claimed").rglob("*.yaml")), "a stop leaves no small drop half taken in"
    assert sorted(names) == [f"{number:05}" for number in range(count)], "a manifest is lost or there twice"
    assert all(log["status"] == "done" for log in place.logs())
    print(f"manifests: {count}, left when the first result appeared: {at_first_result}, peak: {peak // 1024} MiB")


def test_a_scan_opens_each_file_once_for_every_manifest_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    picture(seed=1).save(inbox / "photo.png")
    picture(seed=2).save(inbox / "painting.png")
    real, opens = places.open_inside, []

    def counted(path: Path, roots: list[Path], name: str) -> Any:
        opens.append(name)
        return real(path, roots, name)

    monkeypatch.setattr(places, "open_inside", counted)
    monkeypatch.setattr(readiness, "open_inside", counted)
    for number in range(50):
        (inbox / f"{number}.yaml").write_text("content: photo.png\nstyle: painting.png\n")
        if number in (9, 49):
            opens.clear()
            fresh = make(inbox, settle_seconds=0, trust_times=True)
            assert sum(isinstance(verdict, Ready) for verdict in fresh.scan()) == number + 1
            assert len(opens) == 3 * (number + 1)


def test_many_writers_at_once_get_each_job_done_once(place: Place, is_long: bool) -> None:
    writers = 100 if is_long else 8  # of each kind
    photo, painting = place.root / "photo.png", place.root / "painting.png"
    picture(seed=1).save(photo)
    picture(seed=2).save(painting)
    process = place.start("watch", quiet=True)
    wait_for(lambda: (place.jobs / ".runner.json").exists())

    def submit(number: int) -> None:
        flags = [part for key, value in QUICK.items() for part in ("--set", f"{key}={value}")]
        done = place.run("submit", "photo.png", "painting.png", "--name", f"s{number:03}", *flags)
        assert done.returncode == 0, done.stderr

    def copy(number: int) -> None:
        name = f"c{number:03}"
        data = {"content": f"{name}.png", "style": f"{name}-style.png", "parameters": QUICK}
        files = [(f"{name}.png", photo.read_bytes()), (f"{name}-style.png", painting.read_bytes())]
        files.insert(number % 3, (f"{name}.yaml", yaml.safe_dump(data).encode()))
        for file_name, content in files:
            (place.inbox / file_name).write_bytes(content)

    try:
        with ThreadPoolExecutor(2 * writers) as pool:
            tasks = [pool.submit(task, number) for number in range(writers) for task in (submit, copy)]
            for task in tasks:
                task.result()
        wait_for(lambda: len(place.logs()) >= 2 * writers, 900)
    finally:
        stop(process)
    expected = sorted(f"{kind}{number:03}" for number in range(writers) for kind in "cs")
    assert ended(place) == expected
    assert [log["status"] for log in place.logs()] == ["done"] * len(expected)
    assert place.leftovers() == []
    print(f"writers: {2 * writers}, jobs: {len(expected)}")


def test_of_two_runners_started_together_one_works(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml", parameters=QUICK)
    runners = [place.start("run"), place.start("run")]
    for runner in runners:
        runner.communicate(timeout=120)
    assert sorted(runner.returncode for runner in runners) == [0, 75]
    assert [log["status"] for log in place.logs()] == ["done"]


class TestCopiesThatTakeTheirTime:
    @pytest.fixture
    def process(self, place: Place) -> Iterator[subprocess.Popen[str]]:
        process = place.start("watch")
        wait_for(lambda: (place.jobs / ".runner.json").exists())
        yield process
        stop(process)

    def outcome(self, place: Place) -> Any:
        (log,) = wait_for(place.logs)
        assert log["status"] == "done", log["error"]
        return log["inputs"]["content"]["sha256"]

    def whole(self, place: Place, seed: int = 1) -> bytes:
        path = place.root / f"whole-{seed}.png"
        picture(seed=seed).save(path)
        return path.read_bytes()

    def test_an_image_written_with_long_pauses(self, place: Place, process: subprocess.Popen[str]) -> None:
        place.photo("painting.png", seed=2)
        place.manifest("a.yaml", parameters=QUICK)
        data = self.whole(place)
        with (place.inbox / "photo.png").open("wb") as file:
            for start in range(0, len(data), len(data) // 3):
                file.write(data[start : start + len(data) // 3])
                file.flush()
                assert process.poll() is None
                time.sleep(0.8)  # longer than the settling time
        assert self.outcome(place) == hashlib.sha256(data).hexdigest()

    def test_an_image_renamed_into_place(self, place: Place, process: subprocess.Popen[str]) -> None:
        place.photo("painting.png", seed=2)
        place.manifest("a.yaml", parameters=QUICK)
        data = self.whole(place)
        (place.inbox / "photo.png.part").write_bytes(data)
        (place.inbox / "photo.png.part").rename(place.inbox / "photo.png")
        assert self.outcome(place) == hashlib.sha256(data).hexdigest()

    def test_an_image_replaced_after_it_was_seen(self, place: Place, process: subprocess.Popen[str]) -> None:
        place.manifest("a.yaml", parameters=QUICK)
        (place.inbox / "photo.png").write_bytes(self.whole(place, seed=5))
        time.sleep(1)
        data = self.whole(place)
        (place.inbox / "photo.png").write_bytes(data)
        place.photo("painting.png", seed=2)
        assert self.outcome(place) == hashlib.sha256(data).hexdigest()

    def test_a_manifest_written_in_two_goes(self, place: Place, process: subprocess.Popen[str]) -> None:
        place.pair()
        with (place.inbox / "a.yaml").open("w") as file:
            file.write("content: photo.png\n")
            file.flush()
            time.sleep(0.1)
            file.write(yaml.safe_dump({"style": "painting.png", "parameters": QUICK}))
        self.outcome(place)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 3 MB at a folder; skips where the machine does not let us mount one."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("which", ["jobs", "outbox", "inbox"])
def test_a_full_disk_is_waited_for(place: Place, which: str) -> None:
    folder: Path = getattr(place, which)
    with small_disk(folder):
        place.pair()
        process = place.start("watch", "--checkpoint-seconds", "0")
        try:
            wait_for(lambda: (place.jobs / ".runner.json").exists())
            ballast = folder / ".ballast" if which == "inbox" else folder / "ballast"
            manifest = yaml.safe_dump({"content": "photo.png", "style": "painting.png", "parameters": QUICK})
            (place.inbox / "a.yaml").write_text(manifest)
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
            if which != "inbox":  # the inbox is only renamed in, which needs no room
                wait_until_said(process, "No space left on device")
                assert place.logs() == []
            assert process.poll() is None
            ballast.unlink()
            wait_for(place.logs)
        finally:
            stop(process)
        assert [log["status"] for log in place.logs()] == ["done"]
        assert place.leftovers() == []


@pytest.mark.stand_in
def test_a_watcher_that_is_started_on_a_full_disk_says_so_and_waits(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml", parameters=QUICK)
    with small_disk(place.jobs) as jobs:
        with contextlib.suppress(OSError), (jobs / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        process = place.start("watch")
        try:
            wait_until_said(process, f"No space left on device ({jobs / '.runner.json'})")
            assert process.poll() is None
            (jobs / "ballast").unlink()
            wait_for(place.logs)
        finally:
            stop(process)
        assert [log["status"] for log in place.logs()] == ["done"]
        assert place.leftovers() == []
