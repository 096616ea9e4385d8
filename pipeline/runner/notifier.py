"""The administrator's command, told of failures and of the end of a batch; whatever it does, the runner goes on."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.jobs.log import Log
from pipeline.runner.publisher import Tally

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 60.0
CLOSE_SECONDS = 100.0  # for what waits in the end: systemd kills after two minutes
MAX_WAITING = 100  # events, while the command is slower than jobs fail


class Notifier:
    """Runs a command for each event, one after another, in a thread of its own.

    Args:
        command: its words, run without a shell; None for no command. An event is JSON on its standard input.
        timeout_seconds: after which the command is ended.
    """

    def __init__(self, command: Sequence[str] | None, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._command = command
        self._timeout = timeout_seconds
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        if command:
            self._thread.start()

    def failure(self, published: Log, outbox: Path) -> None:
        """A job, or a drop that never became one, has failed and is told of in the outbox."""
        job = published.job
        self._put(event="failure", id=job.id, name=job.name, error=published.error, result=str(outbox / job.id))

    def batch(self, tally: Tally, problem: str = "") -> None:
        """A pass is over.

        Args:
            tally: what it has done.
            problem: what ended it before its time; empty if nothing.
        """
        self._put(is_last=True, event="batch", done=tally.done, failed=tally.failed, problem=problem or None)

    def close(self) -> None:
        """Have what waits told, for ``CLOSE_SECONDS`` and while no command hangs; what is left out is said."""
        if not self._command:
            return
        self._is_closing = True
        self._events.put(None)
        self._thread.join(CLOSE_SECONDS)
        if left := [event for event in self._events.queue if event]:
            log.warning("--notify: %d events are left out, the last of them: %s", len(left), left[-1])

    def _put(self, is_last: bool = False, **event: Any) -> None:
        if not self._command:
            return
        if self._events.qsize() >= MAX_WAITING and not is_last:
            log.warning("--notify: %d events wait already; this one is left out: %s", MAX_WAITING, event)
        else:
            self._events.put({**event, "time": datetime.now(UTC).isoformat(timespec="seconds")})

    def _work(self) -> None:
        while event := self._events.get():
            if not self._run(json.dumps(event).encode()) and self._is_closing:
                return

    def _run(self, event: bytes) -> bool:
        """Tell the command of an event; gives whether it has come to its end by itself."""
        assert self._command
        try:
            # Its own session: Ctrl-C is for the runner, and what it has started ends with it.
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=sys.stderr, start_new_session=True)
        except OSError as error:
            log.warning("--notify: %s cannot be run (%s)", self._command[0], error.strerror)
            return True
        try:
            process.communicate(event, self._timeout)
        except subprocess.TimeoutExpired:
            log.warning("--notify: %s takes longer than %g s and was ended", self._command[0], self._timeout)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
        if process.returncode:
            log.warning("--notify: %s ended with %d", self._command[0], process.returncode)
        return True
