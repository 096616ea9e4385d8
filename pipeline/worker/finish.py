"""From the engine's state to a picture's file: the result, and the snapshots on the way to it."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.jobs import snapshots
from pipeline.jobs.record import Job
from pipeline.jobs.result import Output
from pipeline.manifest.parameters import Parameters
from pipeline.pictures import color, metadata, saving
from pipeline.pictures.images import Picture, Rgb, reduced, resized
from pipeline.pictures.metadata import Metadata

if TYPE_CHECKING:
    from pipeline.engine.stylize import State, Step, Stylizer


@dataclass(frozen=True)
class Finish:
    """How a state becomes a picture of the result's size.

    Args:
        photo: as it was dropped, at that size; its alpha is given back.
        parameters: settled.
        stylizer: whose states they are.
    """

    photo: Picture
    parameters: Parameters
    stylizer: Stylizer

    def picture(self, state: State) -> Picture:
        """The picture that a state stands for, enlarged where it is of a coarser scale."""
        height, width = self.photo.rgb.shape[:2]
        rgb = resized(self.stylizer.picture(state, self.parameters), height, width)
        return replace(self.photo, rgb=self._coloured(self.photo.rgb, rgb))

    def small(self, state: State, side: int) -> Rgb:
        """The same for a preview, of ``side`` pixels or a few more: of a print the whole would be gigabytes."""
        photo = reduced(self.photo.rgb, side)
        rgb = reduced(self.stylizer.picture(state, self.parameters), side)
        return self._coloured(photo, resized(rgb, *photo.shape[:2]))

    def _coloured(self, photo: Rgb, rgb: Rgb) -> Rgb:
        return color.with_luminance(photo, rgb) if self.parameters.color == "content" else rgb

    def files(
        self, picture: Picture, sources: Path, folder: Path, job: Job, chosen: dict[str, Any]
    ) -> tuple[Output, dict[str, bytes]]:
        """What is told of the result's file, and that file and the timelapse where one is asked for, by name.

        Args:
            picture: the result.
            sources: where the job's images are.
            folder: where its snapshots are.
            job: its record.
            chosen: what `auto` came to, by parameter.
        """
        encoded = self._encoded(picture, sources, job, chosen)
        height, width = picture.rgb.shape[:2]
        output = Output.of(job.name + saving.SUFFIXES[self.parameters.output_format], width, height, encoded)
        files = {output.file: encoded}
        if self.parameters.timelapse:
            files[f"{job.name}.timelapse.webp"] = saving.animation([*snapshots.read(folder).values()], picture)
        return output, files

    def _encoded(self, picture: Picture, sources: Path, job: Job, chosen: dict[str, Any]) -> bytes:
        """The result's file, which says how it was made."""
        asked, photo = self.parameters, job.images["content"]
        of_photo = metadata.of_photo(sources / photo.stored, asked.keep_gps) if asked.keep_metadata else {}
        dpi = asked.print.dpi if asked.print else None
        told = replace(how_it_was_made(job, chosen), photo=of_photo, dpi=dpi)
        return saving.encode(picture, asked.output_format, asked.output_depth, told)


def how_it_was_made(job: Job, chosen: dict[str, Any]) -> Metadata:
    """What a result says of itself: the manifest, with what `auto` came to by parameter, and of which images."""
    assert job.manifest is not None, "a job that runs has a manifest"
    manifest = job.manifest.effective()
    manifest["parameters"] |= chosen
    # Two names, or two priorities, are one picture.
    made = {"manifest": {key: value for key, value in manifest.items() if key not in ("name", "priority", "sweep")}}
    made["inputs"] = {part: image.sha256 for part, image in job.images.items()}
    software = f"Stylistic {importlib.metadata.version('stylistic')}"
    return Metadata(software, {name: json.dumps(facts) for name, facts in made.items()})


def photographed(steps: Iterator[Step], folder: Path, every: int, finish: Finish) -> Iterator[Step]:
    """The steps as they are, a snapshot being left in the job's folder after each ``every``; 0 for none.

    It is there before whoever takes the step can make a checkpoint of it.
    """
    for step in steps:
        if every and step.number % every == 0 and step.state.step == step.number:
            snapshots.save(folder, step.number, saving.encode(finish.picture(step.state), "png"))
        yield step
