"""Which of the videos among photos are painted, and how many frames of them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from pipeline.forecast.paces import Paces
from pipeline.forecast.words import told
from pipeline.forecast.work import paintings
from pipeline.jobs.clips import TooLongError
from pipeline.jobs.clips import frames as frames_of
from pipeline.manifest.model import Limits, Manifest
from pipeline.pictures import clips, suffixes
from pipeline.pictures.clips import Film


def are_painted() -> bool:
    """Whether what videos take is installed."""
    return not clips.missing()


def told_unpainted(folder: str) -> str:
    """A sentence on a folder whose videos are not painted, as something is not installed."""
    return f"{folder}: videos are not painted: {clips.missing()} is not installed; `{clips.INSTALL}`"


def frames(manifest: Manifest, film: Film, limits: Limits, paces: Paces) -> int:
    """``jobs.clips.frames``, of which a clip that is too long hears how long it would take; errors as there."""
    try:
        return frames_of(manifest, film, limits)
    except TooLongError as error:
        work = paintings(manifest, {manifest.content: film[:2]}, frames=error.frames)
        said = told(error.frames, paces.estimate(work), "frame")
        raise TooLongError(manifest.content, error.frames, error.limit, error.is_video, said) from None


def stills(names: Iterable[str]) -> frozenset[str]:
    """What `is_of_live_photo` takes to tell: the names in a folder of the photos, without their suffixes."""
    return frozenset(os.path.splitext(name)[0].casefold() for name in names if suffixes.is_read(name))


def is_of_live_photo(name: str, beside: frozenset[str]) -> bool:
    """Whether a video is the second that an iPhone films around each photo, ``IMG_0042.MOV`` of ``IMG_0042.HEIC``."""
    stem, suffix = os.path.splitext(name)
    return suffix.lower() == ".mov" and os.path.basename(stem).casefold() in beside
