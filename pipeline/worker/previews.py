"""What the worker shows of its work: a small picture while it paints, and those of a result for the page."""

from __future__ import annotations

import functools
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


def leave_painter(folder: Path, session: Session) -> None:
    """Write into an attempt's folder what paints it."""
    painter = Painter(device=session.device, precision=session.precision)
    storage.write_json(folder / previews.PAINTER, painter.model_dump())


def previewed(steps: Iterator[Step], folder: Path, picture: Callable[[State], Rgb]) -> Iterator[Step]:
    """The steps as they are, the picture being shown in the job's folder every few seconds.

    Args:
        steps: of the engine.
        folder: the job's.
        picture: what a state stands for.
    """
    show = Showing(folder)
    for step in steps:
        if step.number == step.state.step:
            show(functools.partial(picture, step.state))
        yield step


class Showing:
    """Shows a picture in a job's folder every few seconds: calling it does nothing before it is due."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._due = time.monotonic() + EVERY_SECONDS

    def __call__(self, picture: Callable[[], Rgb]) -> None:
        """Show what a function gives, if it is time for that."""
        begun = time.monotonic()
        if begun < self._due:
            return
        small = preview(Picture(picture(), None), previews.LIVE_SIDE)
        storage.write_atomic(self._folder / previews.LIVE, small)
        now = time.monotonic()
        self._due = now + min(OLDEST_SECONDS, max(EVERY_SECONDS, (now - begun) / MOST_OF_TIME))


def leave_previews(folder: Path, picture: Picture, given: Inputs, shows_itself: bool) -> None:
    """Leave the small pictures of a result in its job's folder.

    Args:
        folder: the job's.
        picture: the result.
        given: what it was made of.
        shows_itself: whether a browser shows a file of the result's format; a print is too large for that.
    """
    wanted = {"picture": picture, "photo": given.photo}
    wanted |= {f"painting-{number}": Picture(rgb, None) for number, rgb in enumerate(given.paintings, 1)}
    if not shows_itself or max(picture.rgb.shape[:2]) > SIDES["large"]:
        wanted["large"] = picture
    previews.leave(folder, {n: preview(p, SIDES[n.partition("-")[0]]) for n, p in wanted.items()})
