"""Jobs written into the inbox by a command: photos, clips and paintings from anywhere, a job folder for each."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline import storage
from pipeline.errors import ImageError, JobError, ManifestError, UsageError
from pipeline.forecast.paces import Paces
from pipeline.forecast.work import Painting, paintings
from pipeline.inbox import films, foreign_paths, jobfolder, patterns, series
from pipeline.inbox.drops import is_job, is_photo
from pipeline.inbox.ignored import Ignored
from pipeline.inbox.places import Places
from pipeline.inbox.settings import Settings, told
from pipeline.jobs import clips
from pipeline.jobs.unfit import unfit
from pipeline.manifest.document import write_document
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.names import beginning
from pipeline.manifest.parse import parse_manifest
from pipeline.pictures import suffixes
from pipeline.pictures.clips import Film
from pipeline.pictures.series import Numbered

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """A job that is right and can be written."""

    manifest: Manifest
    text: bytes  # its job.yaml
    copies: Mapping[Path, str]  # each image's path in the job folder
    paintings: list[Painting]


def find_photos(
    given: Sequence[str], ignore: Sequence[str] = (), frames: bool = False
) -> tuple[dict[Path, str], list[str]]:
    """The photos that files, folders and patterns stand for, each with what its job is named after, and the pictures
    among them that are of a kind that is not read.

    Args:
        given: each of them.
        ignore: patterns of what in folders is none of them.
        frames: whether a folder is one clip, of numbered frames.

    Raises:
        UsageError: one of them stands for nothing.
    """
    found: dict[Path, str] = {}
    unread: list[str] = []
    for one in given:
        path = Path(one)
        others: list[Path] = []
        if frames and path.is_dir():
            path = Path(os.path.abspath(path))  # so that it has a name, be it given as "."
            photos = {path: path.name}
        elif path.is_dir():
            folder = storage.real(path)
            ignored = Ignored.by(ignore, folder)
            names = patterns.photos(folder, "**/*", is_photo, ignored)
            photos = {path / photo: photo for photo in _without_live_ones(names)}
            others = [path / other for other in patterns.photos(folder, "**/*", suffixes.is_unread, ignored)]
            for sentence in sorted(ignored.told):
                log.warning("%s", sentence)
        elif patterns.is_pattern(one) and not os.path.lexists(path):
            photos = {path: path.name for path in _matching(path, is_photo, ignore)}
            others = _matching(path, suffixes.is_unread, ignore)
        else:
            photos = {path: path.name}
        unread += map(str, others)
        if not photos:
            raise UsageError(f"{one}: no photo there.", f"{suffixes.told_unread(unread)}." if unread else "")
        found |= {path: name for path, name in photos.items() if path not in found}
    return found, unread


def plan(
    photos: dict[Path, str],
    styles: Sequence[Path],
    name: str | None,
    settings: Settings,
    limits: Limits,
    presets: Path | None = None,
    paces: Paces | None = None,
) -> list[Submission]:
    """The jobs that paint photos like paintings, after everything about them has been tried; writes nothing.

    Args:
        photos: what each job is named after, by the path of the photo, or of the folder of frames.
        styles: the painting or paintings.
        name: of the job where there is one photo, else what comes before the photo's.
        settings: of all of them.
        limits: refused beyond.
        presets: a folder of presets of one's own.
        paces: what is known of this machine.

    Raises:
        UsageError: with every setting and image that cannot be used.
    """
    planned = list(_asked(photos, styles, name, settings, limits, presets))
    verified, series_of = _verified([*styles, *photos], limits, photos if settings.frames else ())
    submissions, problems = [], []
    for photo, (manifest, text, copies) in zip(photos, planned, strict=True):
        sizes = {copies[image]: verified[image][:2] for image in copies}
        try:
            frames = films.frames(manifest, verified[photo], limits, paces or Paces(None))
        except ImageError as error:
            problems.append(str(error))
            continue
        if narrow := unfit(manifest, sizes):
            problems.append(narrow)
            continue
        if photo in series_of:
            folder = copies.pop(photo)
            copies |= {photo / frame.name: f"{folder}/{frame.name}" for frame in series_of[photo]}
            if len(copies) + 2 > limits.max_files:  # with their folder and the manifest
                problems.append(f"{photo}: more than {limits.max_files:,} files (--max-files).")
                continue
        submissions.append(Submission(manifest, text, copies, paintings(manifest, sizes, frames=frames)))
    if problems:
        raise UsageError("\n".join(problems))
    return submissions


def _asked(
    photos: dict[Path, str],
    styles: Sequence[Path],
    name: str | None,
    settings: Settings,
    limits: Limits,
    presets: Path | None,
) -> Iterator[tuple[Manifest, bytes, dict[Path, str]]]:
    """Of each photo the job's manifest, how it is written, and what the images are called beside it; arguments as for
    ``plan``."""
    for photo, called in photos.items():
        copies = _file_names([photo, *styles])
        given = [copies[style] for style in styles]
        data = {
            "content": copies[photo],
            "style": given if len(given) > 1 else given[0],
            "name": name if name and len(photos) == 1 else jobfolder.name_of(called, name or ""),
            **settings.fields,
            "parameters": settings.parameters,
        }
        text = write_document(data)
        try:
            manifest = parse_manifest(text, "the job", None, limits, presets)
        except ManifestError as error:  # every job's alike
            raise UsageError(told(error, "the job")) from None
        for image in manifest.images.values():
            if image not in copies.values():
                raise UsageError(
                    f"{image}: none of the photos and paintings that are submitted.", "For others write a manifest."
                )
        yield manifest, text, copies


def write(submissions: Iterable[Submission], inbox: Path) -> Iterator[Path]:
    """Write a job folder for each, and give its path. Nobody sees one before it is whole.

    Raises:
        UsageError: an image is gone, or not to be read any more.
    """
    for submission in submissions:
        name = submission.manifest.name
        draft = inbox / f".{name}-{os.getpid()}"
        storage.remove(draft)
        storage.make_folder(draft)
        try:
            for source, copy in submission.copies.items():
                storage.ensure_folder((draft / copy).parent)
                with _opened(source) as file:
                    storage.at_once(storage.copy_stream(file, draft / copy))
            storage.write_atomic(draft / "job.yaml", submission.text)
            yield jobfolder.deliver(draft, inbox, name)
        except BaseException:
            storage.remove(draft)
            raise


def _without_live_ones(names: Sequence[str]) -> list[str]:
    """The paths but for those of the films that belong to photos."""
    by_folder: dict[str, list[str]] = {}
    for name in names:
        by_folder.setdefault(os.path.dirname(name), []).append(os.path.basename(name))
    stills = {folder: films.stills(within) for folder, within in by_folder.items()}
    return [name for name in names if not films.is_of_live_photo(name, stills[os.path.dirname(name)])]


def _matching(pattern: Path, is_meant: Callable[[str], bool], ignore: Sequence[str]) -> list[Path]:
    """The pictures that a pattern stands for, from the folder before its first mark."""
    parts = pattern.parts
    first = next(number for number, part in enumerate(parts) if patterns.is_pattern(part))
    folder, wanted = Path(*parts[:first]), str(Path(*parts[first:]))
    real = storage.real(folder)
    try:
        return [folder / photo for photo in patterns.photos(real, wanted, is_meant, Ignored.by(ignore, real))]
    except ValueError as error:
        raise UsageError(f"{pattern}: not a pattern ({error}).") from None


def _file_names(files: Iterable[Path]) -> dict[Path, str]:
    """A name for each beside a manifest: its own, but for a second one of that name."""
    names: dict[Path, str] = {}
    for file in files:
        if file in names:
            continue
        name, number = file.name, 1
        while is_job(name) or name.casefold() in map(str.casefold, names.values()):
            number += 1
            name = beginning(file.stem, 200) + f"-{number}{file.suffix}"
        names[file] = name
    return names


def _verified(
    paths: Iterable[Path], limits: Limits, may_move: Container[Path]
) -> tuple[dict[Path, Film], dict[Path, list[Numbered]]]:
    """What images, videos and folders of frames are, each of which is read to its end, and the frames of the folders.

    Args:
        paths: of all of them.
        limits: refused beyond.
        may_move: of which all frames count: those of an animation, or of a folder.

    Raises:
        UsageError: with every one that cannot be used.
    """
    films_of: dict[Path, Film] = {}
    series_of: dict[Path, list[Numbered]] = {}
    problems = []
    for path in dict.fromkeys(paths):
        try:
            if path in may_move and path.is_dir():
                anywhere = Places(path.parent, path.parent, (Path(path.anchor),))  # who submits may read where he may
                found = series.judged(anywhere, path.name, limits.max_frames, series.verifier(limits))
                films_of[path], series_of[path] = found.film, found.frames
            else:
                with _opened(path) as file:
                    films_of[path] = clips.verify(file, str(path), limits.max_pixels, True, path in may_move)
        except (UsageError, JobError) as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{error.filename or path}: cannot be read ({error.strerror}).")
    if problems:
        raise UsageError("\n".join(problems))
    return films_of, series_of


def _opened(image: Path) -> BinaryIO:
    try:
        return storage.open_named(image)
    except storage.OddError as error:
        raise UsageError(f"{image}: cannot be read (not a file, but {error.strerror}).") from None
    except OSError as error:
        if kind := foreign_paths.kind(str(image)):
            raise UsageError(f"{image}: {kind[0]}.", "Name a file on this machine.") from None
        raise UsageError(f"{image}: cannot be read ({error.strerror}).") from None
