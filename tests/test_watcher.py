from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from watchdog.observers import Observer

from pipeline import storage
from pipeline.manifest.model import Limits
from pipeline.manifest.parse import parse_manifest
from pipeline.pictures import images
from pipeline.watcher import Alarm, Inbox, Ready, Rejected, Waiting
from tests.conftest import picture, wait_for


class Clock:
    """Time that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def make(folder: Path, **settings: Any) -> Inbox:
    defaults: dict[str, Any] = {
        "libraries": [],
        "settle_seconds": 2.0,
        "input_timeout_seconds": 600.0,
        "limits": Limits(max_pixels=1_000_000),
        "trust_times": False,
    }
    return Inbox(folder, folder.parent / ".retry", **{**defaults, **settings})


def drop(folder: Path, name: str = "a.yaml", content: str = "photo.png", style: str = "painting.png") -> Path:
    (folder / name).write_text(f"content: {content}\nstyle: {style}\n")
    return folder / name


def pair(folder: Path) -> None:
    picture(seed=1).save(folder / "photo.png")
    picture(seed=2).save(folder / "painting.png")


def only(inbox: Inbox) -> Ready | Rejected | Waiting:
    (verdict,) = inbox.scan()
    return verdict


class TestReadiness:
    def test_a_drop_is_ready_when_all_has_kept_still(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        drop(folder)
        inbox = make(folder)
        assert only(inbox) == Waiting("settling", is_settling=True)
        clock.pass_(1.9)
        assert isinstance(only(inbox), Waiting)
        clock.pass_(0.2)
        only(inbox)  # the images are looked at once the manifest has been read
        clock.pass_(2.1)
        ready = only(inbox)
        assert isinstance(ready, Ready)
        assert ready.manifest.name == "a"
        assert ready.sizes == [(80, 64), (80, 64)]

    def test_old_files_need_no_settling_where_times_can_be_trusted(self, folder: Path) -> None:
        pair(folder)
        drop(folder)
        assert isinstance(only(make(folder, settle_seconds=0.05, trust_times=True)), Waiting)
        time.sleep(0.06)
        assert isinstance(only(make(folder, settle_seconds=0.05, trust_times=True)), Ready)
        assert isinstance(only(make(folder, settle_seconds=0.05, trust_times=False)), Waiting)

    @pytest.mark.parametrize("late", ["photo.png", "painting.png"])
    def test_a_missing_image_is_waited_for(self, folder: Path, clock: Clock, late: str) -> None:
        pair(folder)
        (folder / late).rename(folder / "elsewhere")
        drop(folder)
        inbox = make(folder)
        for _ in range(3):
            verdict = only(inbox)
            clock.pass_(3)
        assert verdict == Waiting(f"{late} is missing")
        (folder / "elsewhere").rename(folder / late)
        only(inbox)
        clock.pass_(3)
        assert isinstance(only(inbox), Ready)

    def test_a_half_copied_image_waits(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        whole = (folder / "photo.png").read_bytes()
        (folder / "photo.png").write_bytes(whole[: len(whole) // 2])
        drop(folder)
        inbox = make(folder)
        for _ in range(4):
            verdict = only(inbox)
            clock.pass_(3)
        assert isinstance(verdict, Waiting)
        assert "does not decode to its end" in verdict.reason
        (folder / "photo.png").write_bytes(whole)
        assert only(inbox) == Waiting("settling", is_settling=True)
        clock.pass_(3)
        assert isinstance(only(inbox), Ready)

    def test_a_growing_image_never_times_out(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        whole = (folder / "photo.png").read_bytes()
        drop(folder)
        inbox = make(folder, input_timeout_seconds=60)
        for size in range(100, 2000, 100):
            (folder / "photo.png").write_bytes(whole[:size])
            assert isinstance(only(inbox), Waiting)
            clock.pass_(50)
        assert isinstance(only(inbox), Waiting)
        clock.pass_(70)
        rejected = only(inbox)
        assert isinstance(rejected, Rejected)
        assert "photo.png" in rejected.reason
        assert "waited 60 s (--input-timeout)" in rejected.reason

    def test_all_that_is_missing_is_told_together(self, folder: Path, clock: Clock) -> None:
        drop(folder)
        inbox = make(folder, input_timeout_seconds=0)
        only(inbox)
        clock.pass_(3)
        rejected = only(inbox)
        assert isinstance(rejected, Rejected)
        assert rejected.reason.startswith("photo.png is missing; painting.png is missing; waited")

    def test_an_image_that_is_none_is_refused_without_waiting(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        (folder / "photo.png").write_text("a text that somebody named photo.png")
        drop(folder)
        inbox = make(folder)
        for _ in range(3):
            verdict = only(inbox)
            clock.pass_(3)
        assert isinstance(verdict, Rejected)
        assert "photo.png: not an image of a known format" in verdict.reason

    def test_a_manifest_changed_while_it_settles_is_read_from_its_last_bytes(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        path = drop(folder, content="typo.png")
        inbox = make(folder)
        only(inbox)
        clock.pass_(3)
        only(inbox)
        drop(folder)
        os.utime(path, (1, 1))
        for _ in range(3):
            verdict = only(inbox)
            clock.pass_(3)
        assert isinstance(verdict, Ready)

    def test_an_unreadable_image_is_a_fault_that_never_times_out(
        self, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pair(folder)
        drop(folder)
        real = storage.open_inside

        def refuse(path: Path, roots: list[Path], name: str) -> Any:
            if name == "photo.png":
                raise PermissionError(13, "Permission denied")
            return real(path, roots, name)

        monkeypatch.setattr(storage, "open_inside", refuse)  # root, whom tests often run as, may read everything
        inbox = make(folder, input_timeout_seconds=1)
        for _ in range(5):
            verdict = only(inbox)
            clock.pass_(100)
        assert verdict == Waiting("cannot be read: Permission denied", is_fault=True)
        monkeypatch.undo()
        Clock(monkeypatch).now = clock.now
        only(inbox)
        assert isinstance(only(make(folder, settle_seconds=0)), Ready)

    def test_a_jump_of_the_wall_clock_changes_nothing(
        self, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drop(folder)
        inbox = make(folder, trust_times=True)
        only(inbox)
        for jump in (-1e6, 1e6):
            monkeypatch.setattr(time, "time", lambda jump=jump: 1.7e9 + jump)
            clock.pass_(100)
            assert only(inbox) == Waiting("photo.png is missing; painting.png is missing")

    def test_one_decoding_serves_all_manifests_that_name_an_image(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pair(folder)
        for number in range(20):
            drop(folder, f"{number}.yaml")
        calls = []
        real = images.verify

        def verify(file: BinaryIO, name: str, max_pixels: int) -> tuple[int, int]:
            calls.append(name)
            return real(file, name, max_pixels)

        monkeypatch.setattr(images, "verify", verify)
        inbox = make(folder, settle_seconds=0)
        assert sum(isinstance(verdict, Ready) for verdict in inbox.scan()) == 20
        assert sorted(calls) == ["painting.png", "photo.png"]


def test_a_mistake_of_ours_over_one_drop_stops_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair(folder)
    for name in ("a", "b"):
        drop(folder, f"{name}.yaml")

    def stumble(data: bytes, file: str, *rest: Any) -> Any:
        if file == "a.yaml":
            raise AttributeError("a bug")
        return parse_manifest(data, file, *rest)

    monkeypatch.setattr("pipeline.watcher.parse_manifest", stumble)
    first, second = make(folder, settle_seconds=0).scan()
    assert isinstance(first, Rejected)
    assert "internal error: AttributeError('a bug')" in first.reason
    assert isinstance(second, Ready)


class TestPlaces:
    def ready(self, folder: Path, **settings: Any) -> Ready | Rejected | Waiting:
        return only(make(folder, settle_seconds=0, **settings))

    def test_a_job_folder_is_a_drop(self, folder: Path) -> None:
        (folder / "trip").mkdir()
        pair(folder / "trip")
        drop(folder / "trip", "job.yaml")
        ready = self.ready(folder)
        assert isinstance(ready, Ready)
        assert ready.drop.is_folder
        assert ready.manifest.name == "trip"

    def test_a_folder_without_job_yaml_is_left_alone_and_a_hint_given(self, folder: Path) -> None:
        (folder / "trip").mkdir()
        pair(folder / "trip")
        drop(folder / "trip", "harbour.yml")
        inbox = make(folder)
        assert list(inbox.scan()) == []
        (hint,) = inbox.hints
        assert hint.startswith("trip/harbour.yml is not looked at: a folder whose manifest is named job.yaml")

    def test_a_folder_of_images_is_no_drop(self, folder: Path) -> None:
        (folder / "photos").mkdir()
        pair(folder / "photos")
        assert list(make(folder).scan()) == []

    def test_images_may_lie_in_folders_of_the_inbox(self, folder: Path) -> None:
        (folder / "photos").mkdir()
        pair(folder / "photos")
        drop(folder, content="photos/photo.png", style="photos/painting.png")
        assert isinstance(self.ready(folder), Ready)

    def test_a_job_folder_may_name_images_beside_it_even_after_its_claim(self, folder: Path) -> None:
        pair(folder)
        (folder / "trip").mkdir()
        drop(folder / "trip", "job.yaml", "../photo.png", "../painting.png")
        inbox = make(folder, settle_seconds=0)
        ready = only(inbox)
        assert isinstance(ready, Ready)
        claimed = inbox.claim(ready.drop, "trip", lambda _: False)
        with inbox.open(claimed, "../photo.png") as file:
            assert file.read(4) == b"\x89PNG"

    def test_libraries_serve_images_by_name(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "styles").mkdir()
        pair(tmp_path / "styles")
        drop(folder)
        assert isinstance(self.ready(folder), Waiting)
        assert isinstance(self.ready(folder, libraries=[tmp_path / "styles"]), Ready)

    @pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "/proc/self/mem", "link.png"])
    def test_a_manifest_cannot_read_outside(self, folder: Path, path: str) -> None:
        pair(folder)
        (folder.parent / "secret.png").write_bytes((folder / "photo.png").read_bytes())
        (folder / "link.png").symlink_to("../secret.png")
        drop(folder, content=path)
        rejected = self.ready(folder)
        assert isinstance(rejected, Rejected)
        assert "leads outside the inbox" in rejected.reason

    def test_a_manifest_that_is_a_link_to_outside_is_not_read(self, folder: Path) -> None:
        (folder / "a.yaml").symlink_to("/etc/passwd")
        rejected = self.ready(folder)
        assert isinstance(rejected, Rejected)
        assert "root" not in rejected.reason

    def test_pipes_and_folders_named_like_manifests_harm_nobody(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe.yaml")
        (folder / "folder.yaml").mkdir()
        rejected = self.ready(folder)
        assert isinstance(rejected, Rejected)
        assert rejected.drop.label == "pipe.yaml"


class TestClaim:
    def test_a_claim_is_one_rename_that_fixes_the_id(self, folder: Path) -> None:
        pair(folder)
        path = drop(folder, "Harbour.YAML")
        inbox = make(folder, settle_seconds=0)
        ready = only(inbox)
        assert isinstance(ready, Ready)
        claimed = inbox.claim(ready.drop, ready.manifest.name, lambda _: False)
        assert not path.exists()
        assert claimed.entry == folder / ".claimed" / f"{claimed.id}.yaml"
        assert claimed.entry.exists()
        assert sorted(p.name for p in folder.iterdir()) == [".claimed", "painting.png", "photo.png"]

    def test_an_id_is_never_given_twice(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pair(folder)
        tokens = iter(["aaaa", "aaaa", "bbbb", "bbbb", "cccc"])
        monkeypatch.setattr(secrets, "token_hex", lambda _: next(tokens))
        inbox = make(folder, settle_seconds=0)
        ids = []

        def bbbb_is_taken(job_id: str) -> bool:
            return job_id.endswith("bbbb")

        for taken in (False, False, True):
            drop(folder)
            ready = next(v for v in inbox.scan() if isinstance(v, Ready) and v.drop.id is None)
            ids.append(inbox.claim(ready.drop, "a", bbbb_is_taken if taken else lambda _: False).id)
        assert [str(i)[-4:] for i in ids] == ["aaaa", "bbbb", "cccc"]

    def test_a_claimed_drop_of_an_earlier_life_is_found_again(self, folder: Path) -> None:
        pair(folder)
        drop(folder, "my harbour.yaml")
        first = make(folder, settle_seconds=0)
        ready = only(first)
        assert isinstance(ready, Ready)
        claimed = first.claim(ready.drop, "my harbour", lambda _: False)
        again = only(make(folder, settle_seconds=0))
        assert isinstance(again, Ready)
        assert (again.drop.id, again.manifest.name) == (claimed.id, "my harbour")


class TestAlarm:
    def test_it_rings_on_changes_but_not_on_reading(self, folder: Path) -> None:
        (folder / "old.yaml").write_text("old")
        alarm = Alarm(folder)
        assert alarm.keep_alive() == ""
        try:
            (folder / "old.yaml").read_text()
            assert not alarm.rung.wait(0.5)
            (folder / "new.yaml").write_text("new")
            wait_for(alarm.rung.is_set, 10)
        finally:
            alarm.stop()

    def test_a_dead_observer_is_replaced(self, folder: Path) -> None:
        alarm = Alarm(folder)
        alarm.keep_alive()
        try:
            alarm._observer.stop()
            alarm._observer.join()
            assert alarm.keep_alive() == ""
            (folder / "new.yaml").write_text("new")
            wait_for(alarm.rung.is_set, 10)
        finally:
            alarm.stop()

    def test_no_events_are_no_disaster(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(28, "inotify watch limit reached")

        monkeypatch.setattr(Observer, "schedule", refuse)
        assert "inotify watch limit reached" in Alarm(folder).keep_alive()
