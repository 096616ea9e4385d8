"""The word that something has happened."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from watchdog.observers import Observer

from pipeline import storage
from pipeline.inbox.alarm import Alarm
from tests.conftest import wait_for


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

    def test_whichever_thread_of_the_observer_has_died_it_is_replaced(self, folder: Path) -> None:
        alarm = Alarm(folder)
        try:
            for number in range(3):  # dispatches, collects, reads
                alarm.keep_alive()
                threads = sorted(alarm._threads, key=lambda thread: type(thread).__name__)
                assert len(threads) == 3
                threads[number].stop()
                threads[number].join(10)
                assert alarm.keep_alive() == ""
                alarm.rung.clear()
                (folder / f"{number}.yaml").write_text("new")
                wait_for(alarm.rung.is_set, 10)
        finally:
            alarm.stop()

    @pytest.mark.parametrize("step", ["__init__", "schedule", "start"])
    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.EMFILE, "inotify instance limit reached"),
            OSError(errno.ENOSPC, "inotify watch limit reached"),
            OSError(errno.EACCES, "Permission denied"),
            RecursionError("too deep"),
            RuntimeError("can't start new thread"),
        ],
        ids=str,
    )
    def test_no_events_are_no_disaster(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise error

        alarm, before = Alarm(folder), threading.active_count()
        with monkeypatch.context() as patched:
            patched.setattr(Observer, step, refuse)
            for _ in range(3):
                said = alarm.keep_alive()
                assert (getattr(error, "strerror", None) or repr(error)) in said
                wait_for(lambda: threading.active_count() == before)
        assert alarm.keep_alive() == said, "it is not tried again at once"
        alarm._next_try = 0.0
        try:
            assert alarm.keep_alive() == ""
        finally:
            alarm.stop()
        wait_for(lambda: threading.active_count() == before)

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")
    def test_folders_deeper_than_watchdog_goes_are_told_once_and_leave_nothing_open(
        self, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def instances() -> int:
            found = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if os.path.lexists(path)]
            return found.count("anon_inode:inotify")

        before = instances()
        alarm = Alarm(folder)
        assert alarm.keep_alive() == ""
        deep(tmp_path / "deep", 1200)
        (tmp_path / "deep").rename(folder / "deep")
        try:
            said = wait_for(alarm.keep_alive, 30)
            assert "no file system events (RecursionError" in said
            assert {alarm.keep_alive() for _ in range(10)} == {said}
            assert instances() <= before + 1
        finally:
            alarm.stop()
            storage.remove_tree(folder / "deep")
        assert capfd.readouterr() == ("", "")


def deep(top: Path, levels: int) -> None:
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
