"""What a runner says of the inbox: what waits and why, each thing once."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pipeline.inbox.readiness import Waiting

log = logging.getLogger(__name__)


class InboxLog:
    """Remembers what has been said."""

    def __init__(self) -> None:
        self._waiting: Mapping[str, Waiting] = {}
        self._hints: set[str] = set()
        self._events_problem = ""

    def tell(self, waiting: Mapping[str, Waiting], hints: set[str], events_problem: str) -> None:
        """Say what is new since the last time. ``waiting`` is another mapping after every scan."""
        if waiting is self._waiting:
            return
        if events_problem and events_problem != self._events_problem:
            log.warning("%s", events_problem)
        for name, found in waiting.items():
            if not found.is_settling and self._waiting.get(name) != found:
                log.info("%s waits: %s", name, found.reason)
        for hint in hints - self._hints:
            log.warning("%s", hint)
        self._waiting, self._hints, self._events_problem = waiting, set(hints), events_problem
