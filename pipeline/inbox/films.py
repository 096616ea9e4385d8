"""Which of the videos among photos are painted."""

from __future__ import annotations

import os
from collections.abc import Iterable

from pipeline.pictures import clips, suffixes


def are_painted() -> bool:
    """Whether what videos take is installed."""
    return not clips.missing()


def told_unpainted(folder: str) -> str:
    """A sentence on a folder whose videos are not painted, as something is not installed."""
    return f"{folder}: videos are not painted: {clips.missing()} is not installed; `{clips.INSTALL}`"


def stills(names: Iterable[str]) -> frozenset[str]:
    """What `is_of_live_photo` takes to tell: the names in a folder of the photos, without their suffixes."""
    return frozenset(os.path.splitext(name)[0].casefold() for name in names if suffixes.is_read(name))


def is_of_live_photo(name: str, beside: frozenset[str]) -> bool:
    """Whether a video is the second that an iPhone films around each photo, ``IMG_0042.MOV`` of ``IMG_0042.HEIC``."""
    stem, suffix = os.path.splitext(name)
    return suffix.lower() == ".mov" and os.path.basename(stem).casefold() in beside
