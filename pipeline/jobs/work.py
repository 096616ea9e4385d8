"""The pictures that work consists of: what costs time is their steps, each at so many pixels."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ValidationError

from pipeline.jobs.record import Job
from pipeline.manifest.model import Manifest
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.schedule import schedule
from pipeline.pictures.suffixes import bytes_to_decode


class Stretch(NamedTuple):
    """The steps at one scale: its long side, and its pixels in all."""

    side: int
    pixels: int
    steps: int


@dataclass(frozen=True)
class Painting:
    """A picture to be painted: how, the photo's width and height in pixels, and the steps that are made already."""

    parameters: Parameters
    width: int
    height: int
    done: int = 0
    decoding_bytes: int = 0  # that its largest image takes
    further_steps: int = 0  # at full size: those of a clip's other frames

    def stretches(self) -> list[Stretch]:
        """What is run, coarse to fine."""
        ratio = self.parameters.image_size / max(self.width, self.height)
        width, height = (max(1, round(length * ratio)) for length in (self.width, self.height))
        *coarser, (finest, steps) = schedule(self.parameters, height, width)
        return [
            Stretch(side, max(1, round(width * height * (side / max(width, height)) ** 2)), steps)
            for side, steps in [*coarser, (finest, steps + self.further_steps)]
        ]

    @property
    def pixels(self) -> int:
        """Of the finished picture."""
        return self.stretches()[-1].pixels


def paintings(manifest: Manifest, sizes: Mapping[str, tuple[int, int]], frames: int = 1) -> list[Painting]:
    """The pictures that a manifest asks for, one for each variant of a sweep.

    Args:
        manifest: the effective one.
        sizes: width and height of each image, by its path as the manifest writes it.
        frames: of its photo, where that is a clip.
    """
    runs = manifest.variants() if manifest.sweep else [manifest]
    return [
        Painting(
            run.parameters,
            *sizes[run.content],
            decoding_bytes=_to_decode(run.images.values(), sizes),
            further_steps=(frames - 1) * run.parameters.frame_steps,
        )
        for run in runs
        if run.content in sizes
    ]


def _to_decode(names: Iterable[str], sizes: Mapping[str, tuple[int, int]]) -> int:
    return max((bytes_to_decode(name, *sizes[name]) for name in names if name in sizes), default=0)


def paintings_of(job: Job, done: Mapping[int, int] | None = None) -> list[Painting]:
    """The pictures that a job asks for; none of one that never ran, or never can.

    Args:
        job: its record.
        done: how many steps of each are made, by their number from 1.
    """
    if job.manifest is None:
        return []
    sizes = {image.file: (image.width, image.height) for image in job.images.values() if image.width and image.height}
    found: list[Painting] = []
    with contextlib.suppress(ValidationError):
        found = paintings(job.manifest, sizes, job.frames)
    return [dataclasses.replace(one, done=(done or {}).get(number, 0)) for number, one in enumerate(found, 1)]
