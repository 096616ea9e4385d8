"""Inbox, jobs and outbox: what cannot bear a runner is told, and nothing is left behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipeline.doctor import folders
from pipeline.inbox.alarm import Alarm


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("inbox", "jobs", "outbox")]
    for folder in made:
        folder.mkdir()
    return made


def test_folders_in_order_are_ok_and_nothing_is_left_in_them(three: list[Path]) -> None:
    found = {one.name: one for one in folders.examine(three[0], three[1], three[2], poll=False)}
    assert list(found) == [
        *("folders", "inbox", "inbox, space", "jobs", "jobs, space", "outbox", "outbox, space"),
        *("jobs, locks", "inbox and jobs", "outbox and jobs", "inbox, events"),
    ]
    assert {one.state for name, one in found.items() if "space" not in name} == {"ok"}
    assert [list(folder.iterdir()) for folder in three] == [[], [], []]


def test_a_folder_that_cannot_be_written_is_broken_with_a_remedy(tmp_path: Path) -> None:
    in_the_way = tmp_path / "jobs"
    in_the_way.write_text("a file")
    found = folders.writable("jobs", in_the_way)
    assert found.state == "broken"
    assert "Not a directory" in found.what
    assert "--jobs" in found.remedy


def test_a_folder_that_is_not_there_yet_is_a_warning_if_it_can_be_made(tmp_path: Path) -> None:
    assert folders.writable("inbox", tmp_path / "a" / "inbox").state == "warning"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert folders.writable("inbox", tmp_path / "file" / "inbox").state == "broken"


def test_space_runs_short_in_two_steps() -> None:
    states = [folders.free_space("jobs", free).state for free in (10_000_000, 1_000_000_000, 9_000_000_000)]
    assert states == ["broken", "warning", "ok"]


def test_locks_that_keep_nobody_out_are_broken(tmp_path: Path) -> None:
    class Pretended(FileLock):
        def _acquire(self) -> None:
            self._context.lock_file_fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT)

    found = folders.locks(tmp_path, Pretended)
    assert found.state == "broken"
    assert found.what == "two holders of one lock at once"


def test_a_file_system_without_locks_is_broken(tmp_path: Path) -> None:
    class Refused(FileLock):
        def _acquire(self) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

    found = folders.locks(tmp_path, Refused)
    assert found.state == "broken"
    assert "No locks available" in found.what
    assert "local disk" in found.remedy


@pytest.mark.parametrize(("number", "state"), [(errno.EXDEV, "ok"), (errno.EACCES, "broken")])
def test_two_file_systems_are_told_from_a_rename_that_is_refused(three: list[Path], number: int, state: str) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    found = folders.rename("inbox", three[0], three[1], refuse)
    assert found.state == state
    assert ("two file systems" in found.what) is (state == "ok")


def test_events_that_do_not_come_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(self: Any) -> str:
        return ""

    monkeypatch.setattr(Alarm, "keep_alive", deaf)
    found = folders.events(tmp_path, seconds=0.05)
    assert found.state == "warning"
    assert "--poll" in found.remedy
