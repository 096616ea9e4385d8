"""What would be wrong with a manifest, told where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline import storage
from pipeline.errors import JobError, ManifestError
from pipeline.forecast.paces import Paces
from pipeline.forecast.work import Painting, paintings
from pipeline.inbox import films as films_of
from pipeline.inbox import patterns, series
from pipeline.inbox.drops import STYLE_NAMES, is_style_name, job_manifest, names_in
from pipeline.inbox.ignored import Ignored
from pipeline.inbox.places import Places
from pipeline.jobs import clips
from pipeline.jobs.unfit import unfit
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.names import default_name
from pipeline.manifest.parse import parse_manifest, parse_template
from pipeline.pictures.clips import Film


class Checked(NamedTuple):
    """What was found: a sentence for every problem; if there is none, the pictures that would be painted."""

    problems: list[str]
    paintings: list[Painting]


def check(
    file: Path,
    inbox: Path,
    libraries: Sequence[Path],
    limits: Limits,
    presets: Path | None = None,
    paces: Paces | None = None,
    ignore: Sequence[str] = (),
) -> Checked:
    """Look for every problem of a manifest and the images it names.

    Wherever it lies, it is taken as if it lay so in the inbox: a ``job.yaml`` in a folder that is dropped whole, a
    ``style.yaml`` in a style folder, whose photos are not looked at, any other loose.

    Raises:
        UsageError: a pattern to ignore cannot be used.
    """
    folder = storage.real(file.absolute().parent)
    is_in_folder = folder != inbox.absolute()
    is_job_folder = file.stem == "job" and is_in_folder
    is_style = file.name.lower() in STYLE_NAMES and is_in_folder and job_manifest(folder) is None
    places = Places(folder.parent if is_job_folder or is_style else folder, folder, tuple(libraries), is_job_folder)
    ignored = Ignored.by(ignore, places.inbox)
    name = default_name(folder.name if is_job_folder else file.name)
    try:
        data = storage.read_named(file, limits.max_manifest_bytes + 1)
        if is_style:
            picture = next(filter(is_style_name, names_in(folder)), None)
            manifest, _ = parse_template(data, str(file), limits, presets, picture)
        else:
            manifest = parse_manifest(data, str(file), name, limits, presets)
            manifest = patterns.expand(manifest, places, limits, ignored)
    except ManifestError as error:
        return Checked(list(error.problems), [])
    except OSError as error:
        problem = str(error) if error.strerror is None else f"cannot be read ({error.strerror})."
        return Checked([f"{file}: {problem}"], [])
    except JobError as error:
        return Checked([f"{file}: {error}"], [])
    parts = {part: image for part, image in manifest.images.items() if part != "content" or not is_style}
    films, problems = _verified(manifest, parts, places, limits)
    if problems or is_style:
        return Checked([f"{file}: {problem}" for problem in problems], [])
    sizes = {image: film[:2] for image, film in films.items()}
    try:
        frames = films_of.frames(manifest, films[manifest.content], limits, paces or Paces(None))
    except JobError as error:
        return Checked([f"{file}: {error}"], [])
    if narrow := unfit(manifest, sizes):
        return Checked([f"{file}: {narrow}"], [])
    return Checked([], paintings(manifest, sizes, frames=frames))


def _verified(
    manifest: Manifest, parts: Mapping[str, str], places: Places, limits: Limits
) -> tuple[dict[str, Film], list[str]]:
    """What the images are that a manifest names, by their paths, and a sentence for each that cannot be used."""
    films: dict[str, Film] = {}
    problems: list[str] = []
    for part, image in parts.items():
        try:
            if part == "content" and series.is_asked_for(manifest, places):
                films[image] = series.judged(places, image, limits.max_frames, series.verifier(limits)).film
                continue
            may_be_animated = manifest.frames and part == "content"
            with places.open(image) as opened:
                films[image] = clips.verify(opened, image, limits.max_pixels, True, may_be_animated)
        except JobError as error:
            problems.append(str(error))
        except FileNotFoundError:
            problems.append(f"{image}: cannot be read: {places.missing(image)}.")
        except OSError as error:
            problems.append(f"{image}: cannot be read ({error.strerror}).")
    return films, problems
