"""Stylistic for notebooks and programs: paint a picture, see the steps on the way, read the losses of a result.

A call paints as a job in the inbox would, to the same pixels. The network is loaded with the first call, and kept.
Calls of several threads take turns, step by step.
"""

from __future__ import annotations

import hashlib
import io
import json
import operator
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from pipeline.errors import ImageError, UsageError
from pipeline.jobs import log
from pipeline.jobs.losses import Loss, Losses
from pipeline.jobs.record import Job, JobImage, new_id
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.names import default_name
from pipeline.manifest.parse import parse_manifest
from pipeline.pictures import images
from pipeline.worker.fitting import require_fitting
from pipeline.worker.inputs import InputLoader
from pipeline.worker.optimizing import loss_of
from pipeline.worker.paint import Work
from pipeline.worker.session import Options, open_session

if TYPE_CHECKING:
    from pipeline.engine import stylize as engine

__all__ = ["Painting", "Step", "losses", "paint", "steps"]

Picture = str | Path | Image.Image | np.ndarray[Any, Any]

_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_FILED_AS = {"HSV": "RGB", "La": "LA", "RGBa": "RGBA", "I;16N": "I;16"}  # modes that no file has
_DEVICES = ("auto", "cpu", "gpu")
_loader = InputLoader()
_one_at_a_time = threading.Lock()


class Painting(Image.Image):
    """A picture with how it came about."""

    losses: dict[str, list[float]]  # columns, an entry a step: before that step's update
    parameters: dict[str, Any]  # with what `auto` came to; as a manifest's they make the same picture


@dataclass(frozen=True)
class Step:
    """A picture on the way."""

    number: int  # from 1
    of: int
    losses: dict[str, float]
    picture: Image.Image
    result: Painting | None  # of the last one


def paint(
    content: Picture, style: Picture | Sequence[Any], *, verbose: bool = False, device: str = "auto", **fields: Any
) -> Painting:
    """Paint a photo like a painting.

    Args:
        content: the photo: a path, a picture, or an array ``[H, W, 3]`` of uint8 or of floats in [0, 1]; ``[H, W]`` is
            grey, ``[H, W, 4]`` has alpha.
        style: the painting likewise, or a list of paintings or of ``{"image": …, "weight": …}``.
        verbose: whether to draw a bar.
        device: ``auto``, ``cpu`` or ``gpu``.
        fields: of a manifest (``preset``, ``name``, ``init_image``…) or its parameters (``image_size``, ``strength``…);
            ``init_image`` and the mask of ``protect`` may be pictures or arrays, too.

    Raises:
        UsageError: many pictures are asked for, or ``device`` cannot be, or ``every`` of ``steps``.
        ManifestError: a field or parameter is unknown, or its value cannot be.
        ImageError: an image cannot be used.
        JobError: the picture cannot be painted.
        EnvironmentFault: nothing can be, such as without weights.
    """
    if "every" in fields:
        raise UsageError("every: `paint` gives the result alone.", "Call `steps`.")
    *_, last = steps(content, style, every=0, verbose=verbose, device=device, **fields)
    assert last.result is not None, "the last step has the result"
    return last.result


def steps(
    content: Picture,
    style: Picture | Sequence[Any],
    *,
    every: int = 1,
    verbose: bool = False,
    device: str = "auto",
    **fields: Any,
) -> Iterator[Step]:
    """Paint a photo like a painting, and give the picture on the way, the result last. A way may be left with `break`.

    Args:
        content: as for ``paint``, with all others; errors too.
        style: likewise.
        every: how many steps from one picture to the next; 0 for the last alone.
        verbose: whether to draw a bar.
        device: ``auto``, ``cpu`` or ``gpu``.
        fields: as for ``paint``.
    """
    if device not in _DEVICES:
        raise UsageError(f"device={device!r}: must be {', '.join(_DEVICES[:-1])} or {_DEVICES[-1]}.")
    every = _count(every)
    named = _Named()
    manifest = _manifest(named, content, style, fields)
    weights = os.environ.get("STYLISTIC_WEIGHTS")
    options = Options(
        weights=Path(weights) if weights else None, max_pixels=Limits().max_pixels, checkpoint_seconds=0, device=device
    )
    with tempfile.TemporaryDirectory() as folder:
        job = named.job(manifest, Path(folder))
        assert job.manifest is not None
        parameters = job.manifest.parameters  # with the size of a print
        with _one_at_a_time:
            session = open_session(options, parameters.precision)
            require_fitting(job, session.precision, options)
            work = Work.settled(session, _loader.take(Path(folder), job, options.max_pixels), parameters)
        rows: list[Loss] = []
        for step in tqdm(_each(work.steps()), total=parameters.steps, disable=not verbose, desc=manifest.name):
            rows.append(loss_of(step, 0.0))
            if step.number == step.state.step and step.number == parameters.steps:
                finished = work.finish.picture(step.state)
                output, files = work.finish.files(finished, Path(folder), Path(folder), job, work.chosen)
                painting = _painting(files[output.file])
                painting.losses = Losses.of(rows).model_dump()
                painting.parameters = work.parameters.model_dump(mode="json")
                yield Step(step.number, parameters.steps, _told(rows[-1]), painting, painting)
            elif every and step.number == step.state.step and step.number % every == 0:
                shown = np.round(work.finish.picture(step.state).rgb * 255).astype(np.uint8)
                yield Step(step.number, parameters.steps, _told(rows[-1]), Image.fromarray(shown), None)


def _each(coming: Iterator[engine.Step]) -> Iterator[engine.Step]:
    """Steps, while no other thread makes one: what the engine keeps for the next picture is one thread's at a time."""
    while True:
        with _one_at_a_time:
            step = next(coming, None)
        if step is None:
            return
        yield step


def losses(result: str | Path) -> dict[str, list[float]]:
    """The columns of a result's loss log, ready for pandas: ``step``, ``scale``, ``total``, ``content``…

    Args:
        result: its folder in the outbox.

    Raises:
        ImageError: it is no result.
    """
    folder = Path(result).resolve()
    found = log.read(folder.parent, folder.name)
    if found is None:
        raise ImageError(f"{result}: no result of Stylistic.", "Name its folder, such as outbox/harbour-….")
    return found.loss.model_dump()


class _Named:
    """The images of a call by the names that its manifest has for them."""

    def __init__(self) -> None:
        self._given: dict[str, Picture] = {}

    def name(self, image: Any, otherwise: str) -> Any:
        """What a manifest calls an image: its path, or what it is for."""
        if isinstance(image, str | Path):
            return str(image)
        if hasattr(image, "__array__") or isinstance(image, Image.Image):  # a tensor's, too
            name = f"{otherwise}-{len(self._given) + 1}.png"  # `protect` knows a mask by its point
            self._given[name] = image if isinstance(image, Image.Image) else np.asarray(image)
            return name
        if image is None or isinstance(image, bool | int | float | list | Mapping):
            return image  # which the manifest's model takes, or refuses in a sentence
        raise ImageError(f"a {type(image).__name__} is no picture.", "Give a path, a PIL image or an array [H, W, 3].")

    def job(self, manifest: Manifest, folder: Path) -> Job:
        """The job that this manifest is, its images being put into a folder."""
        found = {}
        for part, name in manifest.images.items():
            data = _encoded(self._given[name]) if name in self._given else _read(name)
            stored = part + (Path(name).suffix[:8].lower() if name not in self._given else ".png")
            (folder / stored).write_bytes(data)
            width, height = images.verify(io.BytesIO(data), name, Limits().max_pixels, end_may_lack=True)
            digest = hashlib.sha256(data).hexdigest()
            found[part] = JobImage(file=name, stored=stored, sha256=digest, width=width, height=height)
        return Job.new(new_id(manifest.name), manifest, found)


def _count(every: Any) -> int:
    try:
        count = operator.index(every)
    except TypeError:
        count = -1
    if count < 0:
        raise UsageError(f"every={every!r}: must be a whole number of steps, or 0 for the last alone.")
    return count


def _manifest(named: _Named, content: Any, style: Any, fields: Mapping[str, Any]) -> Manifest:
    own = {field: value for field, value in fields.items() if field in Manifest.model_fields}
    if own.get("sweep") is not None:
        raise UsageError("A sweep is many pictures.", "Call `paint` for each of them.")
    for field in ("frames", "start", "end"):
        if own.get(field) is not None and own[field] is not False:
            raise UsageError(f"{field}={own[field]!r}: a clip is many pictures.", "Drop it in the inbox.")
    given = {field: value for field, value in fields.items() if field not in own}
    parameters = own.pop("parameters", None)
    if parameters is None or isinstance(parameters, Mapping):
        parameters = {**(parameters or {}), **given}
        if "protect" in parameters:
            parameters["protect"] = named.name(parameters["protect"], "protect")
    several = style if isinstance(style, Sequence) and not isinstance(style, str) else [style]
    document = {
        "content": named.name(content, "content"),
        "style": [_style(named, one) for one in several],
        **{field: named.name(value, field) for field, value in own.items()},
        "parameters": parameters,  # what is none, the manifest's model refuses in a sentence
    }
    name = default_name(Path(str(document["content"])).stem)
    return parse_manifest(json.dumps(document, default=str).encode(), "paint()", name)


def _style(named: _Named, style: Any) -> Any:
    if not isinstance(style, Mapping):
        return named.name(style, "style")
    return {key: named.name(value, key if key != "image" else "style") for key, value in style.items()}


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}.", "Name an image that is there.") from None


def _encoded(image: Any) -> bytes:
    """A picture as a file that loses nothing but what floats have beyond 8 bits."""
    if isinstance(image, np.ndarray):
        if 0 in image.shape or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))):
            raise ImageError(f"an array of shape {image.shape}: must be [H, W, 3], [H, W] or [H, W, 4].")
        if image.dtype != np.uint8:
            if not (np.issubdtype(image.dtype, np.floating) and np.all((image >= 0) & (image <= 1))):
                raise ImageError(f"an array of {image.dtype}: must be uint8, or floats in [0, 1].")
            image = np.round(image * 255).astype(np.uint8)
        image = Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image)
    if image.mode in _FILED_AS:
        image = image.convert(_FILED_AS[image.mode])
    buffer = io.BytesIO()
    told = {"exif": image.getexif().tobytes(), "icc_profile": image.info.get("icc_profile")}
    image.save(buffer, "PNG" if image.mode in _PNG_MODES else "TIFF", **{k: v for k, v in told.items() if v})
    return buffer.getvalue()


def _painting(encoded: bytes) -> Painting:
    with Image.open(io.BytesIO(encoded)) as opened:
        opened.load()
        painting = Painting()
        painting.__dict__.update(opened.copy().__dict__)
    return painting


def _told(loss: Loss) -> dict[str, float]:
    return {part: getattr(loss, part) for part in ("total", "content", "style", "total_variation")}
