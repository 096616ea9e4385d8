"""The word that something has happened."""

from __future__ import annotations

from pathlib import Path

import pytest
from watchdog.observers import Observer

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
