"""Work of any length, done a moment at a time, so that what runs is looked at meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline.storage import Slices

BUDGET_SECONDS = 0.5  # of a turn


class Piecework:
    """Does what has many steps, some of them a turn.

    Args:
        begin: gives the steps; called again at the turn after the one in which they, or an error, came to an end.
    """

    def __init__(self, begin: Callable[[], Slices[None]]) -> None:
        self._begin = begin
        self._under_way: Slices[None] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether the next turn goes on with what this one began."""
        return self._under_way is not None

    def turn(self) -> None:
        """Do some steps."""
        begun = time.monotonic()
        steps, self._under_way = self._under_way or self._begin(), None
        for _ in steps:
            if time.monotonic() - begun > BUDGET_SECONDS:
                self._under_way = steps
                return

    def close(self) -> None:
        """Break off what is under way."""
        if self._under_way is not None:
            self._under_way.close()
