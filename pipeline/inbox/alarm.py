"""A word that something has happened in a folder. It may not come: whoever waits for it looks anyway."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.utils import BaseThread

log = logging.getLogger(__name__)

RETRY_SECONDS = 300.0  # from one try that failed to the next


class Alarm:
    """Wakes a waiting loop when something happens in a folder. It may miss what happens: the loop looks anyway.

    Args:
        folder: watched with everything below it; None for no watching.
    """

    def __init__(self, folder: Path | None) -> None:
        self.rung = threading.Event()
        self._folder = folder
        self._observer: Any = None
        self._threads: set[BaseThread] = set()  # the observer's, all of which have to live
        self._problem = ""
        self._next_try = -math.inf  # monotonic time

    def keep_alive(self) -> str:
        """Start watching, or again if a thread of the observer has died; says why where that cannot be."""
        if self._folder is None or (self._threads and all(thread.is_alive() for thread in self._threads)):
            return ""
        if self._threads or time.monotonic() >= self._next_try:
            self.stop()
            self._problem = self._start(self._folder)
            self._next_try = time.monotonic() + RETRY_SECONDS
        return self._problem

    def stop(self) -> None:
        """Watch no longer."""
        observer, self._observer = self._observer, None
        self._threads = set()
        if observer is not None:
            with contextlib.suppress(Exception):  # what has died may not stop in order
                observer.stop()
            if observer.is_alive():
                observer.join(timeout=5)

    def _start(self, folder: Path) -> str:
        # It warns of every folder that is renamed within the one it watches, as a claim does.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="watchdog")
        threading.excepthook = _tell_quietly
        before = set(threading.enumerate())
        try:
            self._observer = Observer()
            self._observer.schedule(_Ring(self.rung), str(folder), recursive=True)
            self._observer.start()
        except Exception as error:  # no more of inotify, a file system without events, folders without end
            self._end_threads(before)
            reason = (error.strerror if isinstance(error, OSError) else "") or repr(error)
            return f"no file system events ({reason}); looking every few seconds"
        self._threads = _threads_since(before)
        return ""

    def _end_threads(self, before: set[threading.Thread]) -> None:
        """Of an observer that did not start: each try would leave some, with an instance of inotify."""
        self.stop()
        for thread in _threads_since(before):
            with contextlib.suppress(Exception):
                thread.stop()


def _threads_since(before: set[threading.Thread]) -> set[BaseThread]:
    return {thread for thread in set(threading.enumerate()) - before if isinstance(thread, BaseThread)}


def _tell_quietly(died: threading.ExceptHookArgs) -> None:
    """What ends a thread of watchdog is told when it is missed, not as a traceback."""
    if isinstance(died.thread, BaseThread):
        log.debug("watching the inbox: %r", died.exc_value)
    else:
        threading.__excepthook__(died)


class _Ring(FileSystemEventHandler):
    """Rings on changes only: on any event it would hear the scan's own reading."""

    def __init__(self, rung: threading.Event) -> None:
        self._rung = rung

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type in ("created", "modified", "moved", "closed"):
            self._rung.set()
