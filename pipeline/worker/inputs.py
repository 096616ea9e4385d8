"""A job's images as the engine takes them: decoded, freed of noise, the paintings' colours matched."""

from __future__ import annotations

import contextlib
import hashlib
import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import storage
from pipeline.errors import ImageError, JobError
from pipeline.jobs import clips
from pipeline.jobs.record import Job
from pipeline.manifest.fields import Box, mask_of
from pipeline.manifest.model import Manifest
from pipeline.manifest.schedule import style_side
from pipeline.pictures import advice, color, images, protection
from pipeline.pictures.images import Picture, Rgb
from pipeline.pictures.suffixes import bytes_to_decode

# Those that the images are made by.
PARAMETERS = ("image_size", "style_size", "style_scale", "color", "denoise", "init", "protect")
LEAST_SIDE, MOST_SIDE = 512, 1024  # that faces are looked for at: small ones are found, and it takes no second
DIGITS = 4  # of a face's box

# What a ``Style`` of the engine has, which this room does not load.
StyleFields = tuple[Rgb, float, str, Any | None, Any | None, int]


@dataclass(frozen=True)
class Inputs:
    """What a run starts from."""

    content: Picture  # what is painted: denoised if that is asked for
    photo: Picture  # the content image as it was dropped, at the size of the result
    paintings: list[Rgb]  # the style images in their own colours
    styles: list[StyleFields]
    start: Any | None  # RGB [H, W, 3] of any size; None for the content image or noise
    protected: Any | None  # where content counts more, [H, W] in [0, 1]; None for nowhere
    chosen: dict[str, Any]  # what `auto` came to, by parameter

    def of_photo(self, photo: Picture) -> Inputs:
        """These, of another photo of the same size."""
        return replace(self, photo=photo)


class InputLoader:
    """Loads the inputs of one job after another: the last job's are kept, the next one's decoded ahead."""

    def __init__(self) -> None:
        self._decoder = ThreadPoolExecutor(1)
        self._ahead: tuple[str, Future[Inputs]] | None = None  # with the key of the job
        self._last: tuple[str, Inputs] | None = None

    def take(self, folder: Path, job: Job, max_pixels: int) -> Inputs:
        """The job's inputs; errors as ``load``."""
        wanted, ahead, self._ahead = key(job), self._ahead, None
        if self._last and self._last[0] == wanted:
            return self._last[1]
        found = None
        if ahead and ahead[0] == wanted:
            with contextlib.suppress(Exception):  # it moved to running/ meanwhile, or is at fault: find out below
                found = ahead[1].result()
        found = found or load(folder, job, max_pixels)
        self._last = wanted, found
        return found

    def load_ahead(self, folder: Path, max_pixels: int, room: int | None = None) -> None:
        """Decode the images of the queued job in ``folder`` in another thread, where ``room`` bytes hold them."""
        with contextlib.suppress(JobError, OSError):  # it will be told when its turn comes
            job = Job.load(folder)
            if room is not None and any(
                bytes_to_decode(image.file, image.width, image.height) > room for image in job.images.values()
            ):
                return
            self._ahead = key(job), self._decoder.submit(load, folder, job, max_pixels)


def key(job: Job) -> str:
    """What the inputs of a job depend on; jobs of one key have the same."""
    manifest = _manifest(job)
    parameters = manifest.parameters.model_dump(mode="json")
    return json.dumps(
        {
            "images": {part: image.sha256 for part, image in job.images.items()},
            "part of a clip": [manifest.start, manifest.end],
            "style": [style.model_dump() for style in manifest.style],
            "parameters": {name: parameters[name] for name in PARAMETERS},
            "smoothness is chosen": parameters["total_variation_weight"] == "auto",
        }
    )


def load(folder: Path, job: Job, max_pixels: int) -> Inputs:
    """The inputs of the job in ``folder``, as its manifest wants them.

    Raises:
        ImageError: an image cannot be used, or its copy is gone.
    """
    parameters, copies = _manifest(job).parameters, _Copies(folder, job, max_pixels)
    photo = copies.picture("content", parameters.image_size)
    chosen: dict[str, Any] = {}
    strength = parameters.denoise
    if strength == "auto":
        strength = chosen["denoise"] = advice.suggested_denoise(advice.noise(photo.rgb))
    content = replace(photo, rgb=advice.denoised(photo.rgb, strength)) if strength else photo
    if parameters.total_variation_weight == "auto":
        noise = advice.noise(content.rgb)
        chosen["total_variation_weight"] = advice.suggested_total_variation_weight(noise)
    paintings, styles = _styles(copies, content.rgb)
    start = None
    if parameters.init == "style":
        start = styles[0][0]
    elif parameters.init == "file":
        start = copies.picture("init", parameters.image_size).rgb
    protect: Any = parameters.protect
    if protect in ("auto", "faces"):
        protect = _faces(copies, photo.rgb)
        chosen["protect"] = protect or "off"
    return Inputs(content, photo, paintings, styles, start, _protected(copies, protect, content.rgb), chosen)


@dataclass(frozen=True)
class _Copies:
    """The copies of a job's images in its folder."""

    folder: Path
    job: Job
    max_pixels: int

    def picture(self, part: str, long_side: float) -> Picture:
        """One of them at a size; of a clip its first frame."""
        image, side = self.job.images[part], max(1, round(long_side))
        try:
            with storage.open_file(self.folder / image.stored) as file:
                if part == "content" and self.job.kind != "photo":
                    return clips.first_frame(file, self.job, side, self.max_pixels)
                return images.decoded(file, side, image.file, self.max_pixels)
        except storage.OddError as error:
            raise ImageError(
                f"{image.file}: its copy in the job's folder is {error.strerror}.", "Drop it again."
            ) from None
        except FileNotFoundError:
            if not storage.is_folder(self.folder):  # the share is gone, not the image
                raise
            raise ImageError(f"{image.file}: its copy is gone from the job's folder.", "Drop the job again.") from None

    def mask(self, part: str, like: Rgb) -> Any:
        """One of them as a mask ``[H, W]`` in [0, 1], as high and wide as an image."""
        height, width = like.shape[:2]
        picture = self.picture(part, max(height, width))
        grey = picture.rgb.mean(-1)
        if picture.alpha is not None:  # black lies behind what is transparent, not a photo's grey
            behind = 1.0 - picture.alpha / np.float32(255.0)
            grey = np.maximum(grey - behind * np.float32(np.mean(images.NEUTRAL) / 255.0), 0.0)
        if grey.max() < 1 / 255:
            raise ImageError(f"{self.job.images[part].file}: black all over.", "White is where a mask counts.")
        return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BOX), np.float32)


def _styles(copies: _Copies, content: Rgb) -> tuple[list[Rgb], list[StyleFields]]:
    """``Inputs.paintings`` and ``Inputs.styles`` of a job."""
    manifest = _manifest(copies.job)
    parameters, (height, width) = manifest.parameters, content.shape[:2]
    nominal = round(parameters.style_size * parameters.style_scale)
    paintings, styles = [], []
    for number, entry in enumerate(manifest.style, 1):
        part = f"style-{number}"
        own = max(copies.job.images[part].width, copies.job.images[part].height)
        painting = copies.picture(part, style_side(parameters, height, width, own)).rgb
        paintings.append(painting)
        if parameters.color == "match":
            painting = color.matched(painting, content)
        pixels = hashlib.sha256(painting.tobytes())
        region, part_of_style = None, None
        if entry.content_mask:
            region = copies.mask(f"mask-{number}-content", content)
        if entry.style_mask:
            part_of_style = copies.mask(f"mask-{number}-style", painting)
            pixels.update(part_of_style.tobytes())
        styles.append((painting, entry.weight, pixels.hexdigest(), region, part_of_style, nominal))
    return paintings, styles


def _faces(copies: _Copies, photo: Rgb) -> list[Box]:
    """Where the faces of a job's photo are."""
    size = _manifest(copies.job).parameters.image_size
    side = min(max(size, LEAST_SIDE), MOST_SIDE)
    return faces(photo if side == size else copies.picture("content", side).rgb)


def _protected(copies: _Copies, protect: Any, content: Rgb) -> Any | None:
    """``Inputs.protected``, of a mask's path, of boxes, or of nothing."""
    if mask_of(protect):
        return copies.mask("protect", content)
    if isinstance(protect, list) and protect:
        boxes = [(box.x, box.y, box.width, box.height) for box in protect]
        return protection.ellipses(boxes, *content.shape[:2])
    return None


def faces(photo: Rgb) -> list[Box]:
    """Where the faces of a photo are."""
    from pipeline.engine import faces

    return [Box(**{side: round(part, DIGITS) for side, part in face._asdict().items()}) for face in faces.find(photo)]


def _manifest(job: Job) -> Manifest:
    assert job.manifest is not None, "a job that runs has a manifest"
    return job.manifest
