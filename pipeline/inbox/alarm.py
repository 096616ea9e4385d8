"""A word that something has happened in a folder. It may not come: whoever waits for it looks anyway."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer


class Alarm:
    """Wakes a waiting loop when something happens in a folder. It may miss what happens: the loop looks anyway.

    Args:
        folder: watched with everything below it; None for no watching.
    """

    def __init__(self, folder: Path | None) -> None:
        self.rung = threading.Event()
        self._folder = folder
        self._observer: Any = None

    def keep_alive(self) -> str:
        """Start watching, or again if the observer has died; says why where the system does not let it watch."""
        if self._folder is None or (self._observer is not None and self._observer.is_alive()):
            return ""
        # It warns of every folder that is renamed within the one it watches, as a claim does.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="watchdog")
        observer = Observer()
        try:
            observer.schedule(_Ring(self.rung), str(self._folder), recursive=True)
            observer.start()
        except OSError as error:  # out of inotify watches, a file system without events
            return f"no file system events ({error.strerror}); looking every few seconds"
        self._observer = observer
        return ""

    def stop(self) -> None:
        """Watch no longer."""
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join(timeout=5)


class _Ring(FileSystemEventHandler):
    """Rings on changes only: on any event it would hear the scan's own reading."""

    def __init__(self, rung: threading.Event) -> None:
        self._rung = rung

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type in ("created", "modified", "moved", "closed"):
            self._rung.set()
