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
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue(MAX_WAITING)
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
        self._put(event="batch", done=tally.done, failed=tally.failed, problem=problem or None)

    def close(self) -> None:
        """Let what is under way come to its end, for as long as one command may take."""
        if self._command:
            with contextlib.suppress(queue.Full):
                self._events.put_nowait(None)
            self._thread.join(self._timeout + 1)

    def _put(self, **event: Any) -> None:
        if self._command:
            try:
                self._events.put_nowait({**event, "time": datetime.now(UTC).isoformat(timespec="seconds")})
            except queue.Full:
                log.warning("--notify: %d events wait already; this one is left out: %s", MAX_WAITING, event)

    def _work(self) -> None:
        while event := self._events.get():
            self._run(json.dumps(event).encode())

    def _run(self, event: bytes) -> None:
        assert self._command
        try:
            # Its own session: Ctrl-C is for the runner, and what it has started ends with it.
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=sys.stderr, start_new_session=True)
        except OSError as error:
            log.warning("--notify: %s cannot be run (%s)", self._command[0], error.strerror)
            return
        try:
            process.communicate(event, self._timeout)
        except subprocess.TimeoutExpired:
            log.warning("--notify: %s takes longer than %g s and was ended", self._command[0], self._timeout)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        else:
            if process.returncode:
                log.warning("--notify: %s ended with %d", self._command[0], process.returncode)
