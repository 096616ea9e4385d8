"""Taking in, however much happens in the inbox."""

from __future__ import annotations

import errno
import itertools
import os
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.inbox.alarm import Alarm
from pipeline.jobs.spool import Spool
from pipeline.manifest.model import Limits
from pipeline.runner import piecework
from pipeline.runner.intake import Intake
from pipeline.runner.publisher import Publisher
from pipeline.storage.copies import SLICE_BYTES
from tests.conftest import picture
from tests.inbox.conftest import Clock, drop, make, pair
from tests.runner.conftest import admit


@pytest.mark.parametrize(("rings", "most"), [(True, 6), (False, 1)])
def test_an_alarm_that_never_rests_costs_a_few_scans_a_second(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rings: bool, most: int
) -> None:
    clock = Clock(monkeypatch)
    scanner: Any = make(tmp_path / "inbox")
    scans = []
    real = scanner.scan

    def counted() -> Any:
        scans.append(time.monotonic())
        return real()

    scanner.scan = counted
    alarm = Alarm(None)
    intake = Intake(scanner, scanner.claims, spool, Publisher(spool, tmp_path, print), alarm, lambda: None)
    for _ in range(1000):
        if rings:
            alarm.rung.set()
        intake.turn()
        clock.pass_(0.001)
    assert 1 <= len(scans) <= most


@pytest.mark.parametrize("text", ["content: photo.png", "content: photo.png\nstyle: painting.png\n"])
@pytest.mark.parametrize("state", ["queued", "running"])
def test_what_lies_among_the_claims_under_the_id_of_a_job_that_has_gone_on_does_nothing_to_it(
    spool: Spool, tmp_path: Path, text: str, state: str
) -> None:
    """Left by a crash, with an image that is gone since; or put there by somebody who may write in the inbox."""
    job_id = admit(spool, "a")
    if state == "running":
        spool.start(job_id)
    pair(tmp_path / "inbox")
    scanner = make(tmp_path / "inbox", settle_seconds=0)
    claim = scanner.claims.folder / f"{job_id}.yaml"
    claim.parent.mkdir(parents=True)
    claim.write_text(text)
    publisher = Publisher(spool, tmp_path / "outbox", print)
    intake = Intake(scanner, scanner.claims, spool, publisher, Alarm(None), lambda: None)
    intake.turn()
    assert not claim.exists()
    assert list((tmp_path / "outbox").iterdir()) == list((tmp_path / "jobs" / "failed").iterdir()) == []
    assert [path.name for path in (tmp_path / "jobs" / state).iterdir()] == [job_id]


class TestAHugeDrop:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        return Clock(monkeypatch)

    @pytest.fixture
    def intake(self, spool: Spool, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Intake:
        """Of which a turn is as short as can be, before an inbox with one drop of many slices."""
        monkeypatch.setattr(piecework, "BUDGET_SECONDS", -1.0)
        inbox = tmp_path / "inbox"
        picture(seed=2).save(inbox / "painting.png")
        picture(seed=1, width=1600, height=1200).save(inbox / "photo.bmp")
        drop(inbox, content="photo.bmp")
        scanner = make(inbox, settle_seconds=0.0, limits=Limits())
        list(scanner.scan())
        return Intake(scanner, scanner.claims, spool, Publisher(spool, tmp_path, print), Alarm(None), lambda: None)

    def test_is_copied_a_slice_a_turn(self, intake: Intake, spool: Spool) -> None:
        sizes = [0]
        for _ in range(50):
            intake.turn()
            sizes.append(sum(path.stat().st_size for path in spool.folder.rglob("content.bmp")))
        assert sizes[-1] == 1600 * 1200 * 3 + 54
        assert max(b - a for a, b in itertools.pairwise(sizes)) <= SLICE_BYTES

    def test_of_a_style_folder_is_copied_a_slice_a_turn(
        self, intake: Intake, spool: Spool, clock: Clock, tmp_path: Path
    ) -> None:
        inbox = tmp_path / "inbox"
        (inbox / "wave").mkdir()
        picture(seed=2).save(inbox / "wave" / "style.png")
        picture(seed=3, width=1600, height=1200).save(inbox / "wave" / "large.bmp")
        sizes = []
        for _ in range(100):
            clock.pass_(1.0)
            intake.turn()
            drafts = (inbox / ".claimed").glob("*/.drafts/**/large.bmp")
            sizes += [path.stat().st_size for path in drafts]
        assert sizes == [SLICE_BYTES * number for number in range(1, 6)], "a turn, a slice"
        assert [path.name for path in spool.queued.rglob("*.bmp")] == ["content.bmp"] * 2, "its job is queued, too"

    def test_is_as_before_if_the_runner_ends_meanwhile(self, intake: Intake, spool: Spool, tmp_path: Path) -> None:
        for _ in range(3):
            intake.turn()
        assert list(spool.folder.rglob("content.bmp"))
        intake.close()
        assert not list(spool.folder.rglob("content.bmp"))
        again = make(tmp_path / "inbox", settle_seconds=0.0, limits=Limits())
        publisher = Publisher(spool, tmp_path, print)
        intake = Intake(again, again.claims, spool, publisher, Alarm(None), lambda: None)
        for _ in range(50):
            intake.turn()
        (queued,) = spool.queued.iterdir()
        assert (queued / "content.bmp").read_bytes() == (tmp_path / "inbox" / "photo.bmp").read_bytes()


class TestADropThatTheDiskCannotHold:
    @pytest.fixture
    def intake(self, spool: Spool, tmp_path: Path) -> Intake:
        """Before an inbox with a drop of a megabyte and, behind it, one of a few kilobytes."""
        inbox = tmp_path / "inbox"
        pair(inbox)
        picture(seed=1, width=800, height=600).save(inbox / "large.bmp")
        drop(inbox, "a.yaml", content="large.bmp")
        drop(inbox, "b.yaml")
        scanner = make(inbox, settle_seconds=0.0, limits=Limits())
        list(scanner.scan())
        publisher = Publisher(spool, tmp_path, print)
        self.warmed: list[str] = []
        return Intake(scanner, scanner.claims, spool, publisher, Alarm(None), lambda: self.warmed.append("b"))

    def test_waits_where_it_is_until_there_is_room_and_the_others_go_on(
        self, intake: Intake, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        free = storage.free_bytes
        monkeypatch.setattr(storage, "free_bytes", lambda folder: 1 << 20)
        assert intake.turn()
        assert [path.name[:2] for path in spool.queued.iterdir()] == ["b-"]
        assert (tmp_path / "inbox" / "a.yaml").exists(), "others that share the inbox may have room"
        (waits,) = intake.scanner.waiting.values()
        assert waits.reason == f"takes 1.5 MB, more than the disk of {spool.folder} has left; make room there"
        assert waits.is_fault, "the machine's, so that it never times out"
        intake._ended = -10.0
        intake.turn()
        assert self.warmed == ["b"], "no card is held for what waits"
        monkeypatch.setattr(storage, "free_bytes", free)
        intake._ended = -10.0
        intake.turn()
        assert sorted(path.name[:2] for path in spool.queued.iterdir()) == ["a-", "b-"]

    @pytest.mark.parametrize(("left", "others_go_on"), [(1 << 30, True), (0, False)])
    def test_is_told_from_a_full_disk_by_what_is_left_without_it(
        self, intake: Intake, spool: Spool, monkeypatch: pytest.MonkeyPatch, left: int, others_go_on: bool
    ) -> None:
        copy = storage.copy_stream

        def full(source: Any, target: Path) -> Any:
            if target.name == "content.bmp":
                raise OSError(errno.ENOSPC, "No space left on device", str(target))
            return (yield from copy(source, target))

        monkeypatch.setattr(storage, "copy_stream", full)
        monkeypatch.setattr("pipeline.runner.intake.lack_of_room", lambda *_: "")
        monkeypatch.setattr(storage, "free_bytes", lambda folder: left)
        if others_go_on:
            intake.turn()
            assert [waits.is_fault for waits in intake.scanner.waiting.values()] == [True]
        else:
            with pytest.raises(OSError, match="No space left"):
                intake.turn()
        assert [path.name[:2] for path in spool.queued.iterdir()] == ["b-"] * others_go_on


def test_a_photo_of_a_style_folder_that_the_disk_cannot_hold_waits_and_the_others_go_on(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "inbox" / "wave"
    folder.mkdir()
    picture(seed=2).save(folder / "style.png")
    picture(seed=1, width=800, height=600).save(folder / "large.bmp")
    picture(seed=3).save(folder / "small.png")
    monkeypatch.setattr(storage, "free_bytes", lambda folder: 1 << 20)
    scanner = make(tmp_path / "inbox", settle_seconds=0.0, limits=Limits())
    for _ in range(2):
        list(scanner.scan())
    assert list(scanner.waiting) == ["wave/large.bmp"]
    assert scanner.waiting["wave/large.bmp"].is_fault
    assert list((tmp_path / "inbox").glob("small-*"))


class TestARejectedDrop:
    @pytest.fixture
    def said(self) -> list[str]:
        return []

    @pytest.fixture
    def intake(self, spool: Spool, tmp_path: Path, said: list[str]) -> Intake:
        scanner = make(tmp_path / "inbox", settle_seconds=0.0, input_timeout_seconds=0.0)
        publisher = Publisher(spool, tmp_path / "outbox", said.append)
        return Intake(scanner, scanner.claims, spool, publisher, Alarm(None), lambda: None)

    def look_thrice(self, intake: Intake) -> None:
        for _ in range(3):
            intake.turn()
            intake._ended = -10.0

    def test_with_a_file_that_cannot_be_read_is_told_once_and_stays_out_of_sight(
        self, intake: Intake, said: list[str], spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        move, open_file = storage.move, storage.open_file

        def other_file_system(source: Path, target: Path) -> None:
            if target.name == "drop":
                raise OSError(errno.EXDEV, "Invalid cross-device link", str(source))
            move(source, target)

        def refused(path: Path, most: int | None = None) -> Any:
            if path.name == "private.png":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return open_file(path, most)

        monkeypatch.setattr(storage, "move", other_file_system)
        monkeypatch.setattr("pipeline.storage.copies.open_file", refused)
        folder = tmp_path / "inbox" / "a"
        folder.mkdir()
        (folder / "job.yaml").write_text("content: private.png\n")
        (folder / "private.png").touch()
        self.look_thrice(intake)
        assert len(said) == 1
        assert intake.scanner.waiting == {}
        (kept,) = (tmp_path / "inbox" / ".rejected").iterdir()
        assert sorted(path.name for path in kept.iterdir()) == ["job.yaml", "private.png"]
        assert not [path for path in spool.failed.rglob("*") if path.name in (".copy", "private.png")]

    def test_whose_name_is_too_long_as_it_is_told_is_kept_by_its_jobs_name(
        self, intake: Intake, said: list[str], spool: Spool, tmp_path: Path
    ) -> None:
        name = os.fsdecode(b"\xfc" * 100 + b".yaml")
        (tmp_path / "inbox" / name).write_text("content: a.png\n")
        self.look_thrice(intake)
        assert len(said) == 1
        assert intake.scanner.waiting == {}
        (kept,) = spool.failed.glob("*/drop/*")
        assert kept.read_text() == "content: a.png\n"
