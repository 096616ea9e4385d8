"""The pictures that work consists of: what costs time is their steps, each at so many pixels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import ValidationError

from pipeline.jobs.losses import Loss, frame_reached, reached
from pipeline.jobs.record import Job
from pipeline.manifest.model import Manifest
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.schedule import schedule


class Source(NamedTuple):
    """An image that a picture is made of: its path as the manifest writes it, width and height in pixels."""

    file: str
    width: int
    height: int


@dataclass(frozen=True)
class Painting:
    """A picture to be painted: how, the photo's width and height in pixels, and the steps that are made already."""

    parameters: Parameters
    width: int
    height: int
    done: int = 0
    further_steps: int = 0  # at full size: those of a clip's other frames
    images: Mapping[str, Source] = field(default_factory=dict)  # by part, as ``Manifest.images``

    @property
    def frames(self) -> int:
        """Of a clip; one of a photo."""
        return 1 + self.further_steps // self.parameters.frame_steps

    @property
    def regions(self) -> int:
        """How many style losses it has: one of each painting with a region to itself, one of all others."""
        paintings = [part.removeprefix("style-") for part in self.images if part.startswith("style-")]
        own = sum(f"mask-{number}-content" in self.images for number in paintings)
        return own + (own < len(paintings)) or 1

    def pixels(self, side: int) -> int:
        """In all, where its long side has so many."""
        return max(1, round(side * side * min(self.width, self.height) / max(self.width, self.height)))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result, pixels."""
        ratio = self.parameters.image_size / max(self.width, self.height)
        return max(1, round(self.height * ratio)), max(1, round(self.width * ratio))

    def ahead(self) -> Iterator[tuple[int, int]]:
        """Pixels of each scale that is left, and the steps to be made there; to begin a scale takes about one more."""
        done = self.done
        *coarser, (finest, last) = schedule(self.parameters, *self.size)
        for side, steps in [*coarser, (finest, last + self.further_steps)]:
            if done < steps:
                yield self.pixels(side), steps - max(0, done) + (done <= 0)
            done -= steps


def paintings(
    manifest: Manifest,
    sizes: Mapping[str, tuple[int, int]],
    done: Mapping[int, int] | None = None,
    frames: int = 1,
) -> list[Painting]:
    """The pictures that a manifest asks for, one for each variant of a sweep.

    Args:
        manifest: the effective one.
        sizes: width and height of each image, by its path as the manifest writes it.
        done: how many steps of each are made, by their number from 1.
        frames: of its photo, where that is a clip.
    """
    return [
        Painting(
            run.sized(*sizes[run.content]).parameters,
            *sizes[run.content],
            (done or {}).get(number, 0),
            (frames - 1) * run.parameters.frame_steps,
            {part: Source(path, *sizes[path]) for part, path in run.images.items() if path in sizes},
        )
        for number, run in enumerate(manifest.runs(), 1)
        if run.content in sizes
    ]


def paintings_of(job: Job, done: Mapping[int, int] | None = None) -> list[Painting]:
    """The pictures that a job asks for, as ``paintings``; none of one that never ran, or never can."""
    sizes = {image.file: (image.width, image.height) for image in job.images.values() if image.width and image.height}
    with contextlib.suppress(ValidationError):
        return paintings(job.manifest, sizes, done, job.frames) if job.manifest else []
    return []


def paintings_left(job: Job, seen: Sequence[Loss]) -> list[Painting]:
    """As ``paintings_of``, with what the end of its loss log (``losses.recent``) tells as done."""
    done, frame = reached(seen), frame_reached(seen)
    if job.frames > 1 and frame and job.manifest:
        to_come = (job.frames - frame) * job.manifest.parameters.frame_steps
        # Each scene but the first begins with more steps than anybody knew of.
        done = {1: min(sum(done.values()), job.steps - to_come)}
    return paintings_of(job, done)
