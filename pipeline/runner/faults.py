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

    def guard(self, place: str, action: Callable[[], bool | None]) -> None:
        """Do something that the environment may prevent, unless it has just done so.

        What works is mended, unless the action says by False that it has not come to its end.
        """
        if self.is_paused(place):
            return
        try:
            is_through = action()
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            self.note(place, f"{place}: {error.strerror or error}{where}")
        except EnvironmentFault as error:
            self.note(place, str(error))
        else:
            if is_through is not False:
                self.mended(place)

    def note(self, place: str, message: str) -> None:
        """A fault was met: it is told when it is new, and the place paused."""
        if self.standing.get(place) != message:
            log.error("%s. Nothing is lost; trying again every %g s.", message.rstrip("."), PAUSE_SECONDS)
        self.standing[place] = message
        self._paused_until[place] = time.monotonic() + PAUSE_SECONDS

    def mended(self, place: str) -> None:
        """A place has shown that it works; told if a fault stood there."""
        if self.standing.pop(place, None):
            log.warning("%s: works again", place)

    def is_paused(self, place: str) -> bool:
        """Whether a place is to be left alone for a moment."""
        return time.monotonic() < self._paused_until.get(place, 0.0)
