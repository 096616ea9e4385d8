"""The parts of a clip between scene cuts, each painted in a folder as a sweep's variant is: ``parts.json`` tells them.

A scene knows nothing of the one before it, so whoever paints which part, the frames are the same.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from pipeline import storage
from pipeline.jobs.fields import Number, SpoiltError, read_json
from pipeline.manifest.fields import Model

FILE = "parts.json"
MOST_BYTES = 1 << 20
MOST_PARTS = 64  # each costs its worker some seconds beside its frames


class Part(Model):
    """Frames of a clip, counted from 1; ``scene`` is that of the first. Without a last one they go to the end."""

    first: Number = 1
    last: Number | None = None
    scene: Number = 1

    def has(self, frame: int) -> bool:
        """Whether a frame is one of them."""
        return self.first <= frame and not self.is_behind(frame)

    def is_behind(self, frame: int) -> bool:
        """Whether they end before a frame."""
        return self.last is not None and frame > self.last


class Parts(Model):
    """All parts of a clip, in order and without gaps."""

    parts: Annotated[list[Part], Field(min_length=1, max_length=MOST_PARTS)]

    @model_validator(mode="after")
    def _are_whole(self) -> Parts:
        first, *_, last = self.parts[0], self.parts[-1]
        joins = all(one.last == other.first - 1 for one, other in itertools.pairwise(self.parts))
        if first.first != 1 or last.last is not None or not joins:
            raise ValueError("the parts are not a clip's")
        return self


def between(cuts: list[int], frames: int) -> Parts:
    """The parts of a clip of about so many frames, of one scene or of several short ones each.

    Args:
        cuts: the first frame of each scene, 1 among them.
        frames: of the clip.
    """
    least = -(-frames // MOST_PARTS)
    begun: list[tuple[int, int]] = []  # the first frame of each part, and its scene
    for scene, cut in enumerate(cuts, 1):
        if not begun or (cut - begun[-1][0] >= least and len(begun) < MOST_PARTS):
            begun.append((cut, scene))
    ends = [first - 1 for first, _ in begun[1:]]
    return Parts(
        parts=[Part(first=first, last=last, scene=scene) for (first, scene), last in itertools.zip_longest(begun, ends)]
    )


def leave(attempt: Path, found: Parts) -> None:
    """Write them into the folder of an attempt."""
    storage.write_json(attempt / FILE, found.model_dump())


def read(attempt: Path) -> list[Part]:
    """Those of the clip at an attempt; none where nobody has looked for them, or it is not painted in parts."""
    try:
        return read_json(Parts, storage.read(attempt / FILE, MOST_BYTES)).parts
    except SpoiltError:
        return []
    except OSError as error:
        if storage.is_of_entry(error):
            return []
        raise
