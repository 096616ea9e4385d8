"""Times and amounts of work in words."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.forecast.paces import Estimate
from pipeline.forecast.work import Painting


def spoken(seconds: float) -> str:
    """A duration, as exactly as it is known: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds)) if seconds < 20 else round(seconds / 5) * 5} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(round(minutes / 5) * 5, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def counted(work: Sequence[Painting], more: int = 0) -> tuple[int, str]:
    """How much work there is, with so many pictures more, and of what: of frames, where there is nothing but clips."""
    if work and not more and all(painting.frames > 1 for painting in work):
        return sum(painting.frames for painting in work), "frame"
    return len(work) + more, "picture"


def told(count: int, found: Estimate | None, of: str = "picture") -> str:
    """How much work there is: ``30 pictures, about 55 min on this CPU``."""
    pictures = f"1 {of}" if count == 1 else f"{count:,} {of}s"
    if found is None:
        return f"{pictures}; how long that takes is not measured yet on this machine"
    reckoned = ", reckoned from the nearest size that was painted here" if found.is_reckoned else ""
    return f"{pictures}, about {spoken(found.seconds)} on this {found.device}{reckoned}"
