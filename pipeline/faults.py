"""What to do while the environment is at fault: say so once, pause, try again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pipeline.errors import EnvironmentFault

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0


class Faults:
    """The faults that stand at present, by the place they were met at."""

    def __init__(self) -> None:
        self.standing: dict[str, str] = {}
        self._paused_until: dict[str, float] = {}

    def guard(self, place: str, action: Callable[[], None]) -> None:
        """Do something that the environment may prevent; a fault is told when it is new, and the action paused."""
        if time.monotonic() < self._paused_until.get(place, 0.0):
            return
        try:
            action()
        except (OSError, EnvironmentFault) as error:
            if isinstance(error, OSError):
                message = f"{place}: {error.strerror or error} ({error.filename or 'no file named'})"
            else:
                message = str(error)
            if self.standing.get(place) != message:
                log.error("%s. Nothing is lost; trying again every %g s.", message.rstrip("."), PAUSE_SECONDS)
            self.standing[place] = message
            self._paused_until[place] = time.monotonic() + PAUSE_SECONDS
        else:
            if self.standing.pop(place, None):
                log.warning("%s: works again", place)
