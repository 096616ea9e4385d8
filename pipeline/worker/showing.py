"""What the worker shows of its work: a small picture while it paints, and those of a result for the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import storage
from pipeline.jobs import previews
from pipeline.jobs.previews import SIDES, Painter
from pipeline.pictures.images import Picture, Rgb
from pipeline.pictures.preview import preview
from pipeline.worker.inputs import Inputs
from pipeline.worker.session import Session

if TYPE_CHECKING:
    from pipeline.engine.stylize import State, Step

EVERY_SECONDS = 5.0
MOST_OF_TIME = 0.02  # that showing may take
OLDEST_SECONDS = 25.0  # that a picture may get for it


def introduce(folder: Path, session: Session) -> None:
    """Write into an attempt's folder what paints it."""
    painter = Painter(device=session.device, precision=session.precision)
    storage.write_json(folder / previews.PAINTER, painter.model_dump())


def shown(steps: Iterator[Step], folder: Path, picture: Callable[[State], Rgb]) -> Iterator[Step]:
    """The steps as they are, the picture being shown in the job's folder every few seconds.

    Args:
        steps: of the engine.
        folder: the job's.
        picture: what a state stands for.
    """
    due = time.monotonic() + EVERY_SECONDS
    for step in steps:
        begun = time.monotonic()
        if begun >= due and step.number == step.state.step:
            small = preview(Picture(picture(step.state), None), previews.LIVE_SIDE)
            storage.write_atomic(folder / previews.LIVE, small)
            now = time.monotonic()
            due = now + min(OLDEST_SECONDS, max(EVERY_SECONDS, (now - begun) / MOST_OF_TIME))
        yield step


def leave_previews(folder: Path, picture: Picture, given: Inputs, shows_itself: bool) -> None:
    """Leave the small pictures of a result in its job's folder.

    Args:
        folder: the job's.
        picture: the result.
        given: what it was made of.
        shows_itself: whether a browser shows the result's file.
    """
    wanted = {"picture": picture, "photo": given.photo}
    wanted |= {f"painting-{number}": Picture(rgb, None) for number, rgb in enumerate(given.paintings, 1)}
    if not shows_itself:
        wanted["large"] = picture
    previews.leave(folder, {n: preview(p, SIDES[n.partition("-")[0]]) for n, p in wanted.items()})
