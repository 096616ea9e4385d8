"""``outbox/pictures/``: the pictures alone, each where its photo came from: a second name for the result's, or a copy.

Only publishing writes here, once a result: what somebody removes stays removed, and what is not ours stays as it is.
"""

from __future__ import annotations

import errno
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from pipeline import storage
from pipeline.jobs import clips, log, variants
from pipeline.jobs.log import PICTURES, Log
from pipeline.jobs.record import Job
from pipeline.jobs.result import SERIES_SUFFIX
from pipeline.manifest.names import folded, on_any_system
from pipeline.pictures import metadata, saving
from pipeline.storage import Entry, Slices

MOST_ALIKE = 100  # pictures of one name that are looked into; further ones are beside them


def add(outbox: Path, job: Job) -> Slices[None]:
    """Put the pictures of a published job there, in the place of older ones of the same photos and styles.

    Raises:
        OSError: something is in the way, or there is no room.
        RecordError: the record of a sweep is damaged.
    """
    assert job.manifest is not None, "a job that has pictures has a manifest"
    above, name = _place(job.place or job.name, is_path=job.place is not None)
    is_sweep = job.manifest.sweep is not None
    series = outbox / job.id / f"{job.name}{SERIES_SUFFIX}"
    if job.kind == "series":
        folder = _made_of_series(_made(outbox / PICTURES, above), name, _made_of(job))
        taken = _taken(folder)
        for entry in storage.entries(series) if storage.is_folder(series) else []:
            target = _free(folder, entry.path.stem, entry.path.suffix, _made_of(job), taken)
            yield from _put(entry.path, target, folder / f".{job.id}")
        return
    folder = _made(outbox / PICTURES, (*above, name) if is_sweep else above)
    for one in variants.records(job) if is_sweep else [job]:
        assert one.manifest is not None
        suffix = saving.SUFFIXES[one.manifest.parameters.output_format] if one.kind == "photo" else clips.SUFFIX
        source = outbox / job.id / f"{one.name}{suffix}"
        if storage.is_file(source):  # that of a variant may have failed
            target = _free(folder, on_any_system(one.name) if is_sweep else name, suffix, _made_of(one), _taken(folder))
            yield from _put(source, target, folder / f".{job.id}")


def take_back(outbox: Path, job_id: str) -> None:
    """Remove the pictures of a result, those that are still its own, and the folders that this leaves empty."""
    published = log.read(outbox, job_id)
    if published is None or published.output is None:
        return
    with storage.passed_over():
        for target, source in _places(outbox, published):
            if _is_same(target, source):
                storage.remove_file(target)
                for folder in itertools.takewhile(outbox.__ne__, target.parents):
                    storage.remove_if_empty(folder)


def _place(path: str, is_path: bool) -> tuple[tuple[str, ...], str]:
    """The folders and the name that a picture has below ``pictures/``, for the path of a photo or the name of a job."""
    if not is_path:
        return (), on_any_system(path)
    photo = PurePath(path)
    return tuple(map(on_any_system, photo.parent.parts)), on_any_system(photo.stem)


def _made(folder: Path, names: tuple[str, ...]) -> Path:
    """A folder within another, made where it is not there. To Windows one that differs in case alone is the same."""
    storage.ensure_folder(folder)
    for name in names:
        taken = _taken(folder)
        for numbered in _numbered(name, taken):
            entry = taken.get(folded(numbered))
            if entry is None or entry.is_folder:
                folder = entry.path if entry else folder / numbered
                storage.ensure_folder(folder)
                break
    return folder


def _made_of_series(above: Path, name: str, made_of: object) -> Path:
    """The folder that frames go to: that of those made of the same before them, else a new one."""
    taken = _taken(above)
    for numbered in _numbered(name, taken):
        entry = taken.get(folded(numbered))
        folder = entry.path if entry else above / numbered
        if entry is None:
            storage.ensure_folder(folder)
        frames = storage.entries(folder) if entry is None or entry.is_folder else None
        if frames == [] or (frames and frames[0].is_file and _told(frames[0].path) == made_of):
            return folder
    raise FileExistsError(errno.EEXIST, "has just been made by somebody else", str(folder))


def _free(folder: Path, name: str, suffix: str, made_of: object, taken: Mapping[str, Entry]) -> Path:
    """Where a picture goes: to the one that was made of the same before it, else where nothing is."""
    free = []
    for numbered in _numbered(name, taken, suffix):
        entry = taken.get(folded(numbered + suffix))
        if entry is None:
            free.append(folder / (numbered + suffix))
        elif entry.is_file and _told(entry.path) == made_of:
            return entry.path
    return free[0]


def _put(source: Path, target: Path, draft: Path) -> Slices[None]:
    storage.remove_file(draft)  # of an earlier life
    try:
        if not storage.link(source, draft):
            with storage.open_file(source) as file:
                yield from storage.copy_stream(file, draft)
        if not storage.is_file(draft):
            raise FileNotFoundError(errno.ENOENT, "has just been exchanged", str(source))
        storage.move(draft, target)
    finally:
        storage.remove_file(draft)  # where both are one file already, a rename does nothing


def _places(outbox: Path, published: Log) -> Iterator[tuple[Path, Path]]:
    """Each file that may be one of a result's pictures, with that of the result."""
    assert published.output is not None
    if published.output.file.endswith(SERIES_SUFFIX):
        yield from _places_of_series(outbox, published, published.output.file)
        return
    own = {entry.name: entry.path for entry in storage.entries(outbox / published.job.id) if entry.is_file}
    rows = published.variants
    files = {row.get("variant"): row.get("file") for row in rows or [] if isinstance(row.get("variant"), str)}
    places = {_place(published.job.name, is_path=False)}
    if published.inputs.content:
        places.add(_place(published.inputs.content.file, is_path=True))
    for above, name in places:
        folder = outbox.joinpath(PICTURES, *above, *([name] if rows else []))
        taken = _taken(folder) if storage.is_folder(folder) else {}
        for stem, file in files.items() if rows else [(name, published.output.file)]:
            suffix = PurePath(str(file)).suffix
            for numbered in _alike(on_any_system(str(stem)), taken, suffix):
                entry = taken.get(folded(numbered + suffix))
                if entry and entry.is_file and file in own:
                    yield entry.path, own[file]


def _places_of_series(outbox: Path, published: Log, file: str) -> Iterator[tuple[Path, Path]]:
    """As ``_places``, of a result that is a folder of frames."""
    series = outbox / published.job.id / file
    own = {entry.name: entry.path for entry in storage.entries(series)} if storage.is_folder(series) else {}
    above, name = _place(published.job.name, is_path=False)
    beside = outbox.joinpath(PICTURES, *above)
    for numbered in _alike(name, _taken(beside) if storage.is_folder(beside) else {}):
        folder = beside / numbered
        for entry in storage.entries(folder) if storage.is_folder(folder) else []:
            if entry.is_file and (source := own.get(re.sub(r" \([0-9]+\)(?=\.)", "", entry.name))):
                yield entry.path, source


def _numbered(name: str, taken: Mapping[str, Entry], suffix: str = "") -> Iterator[str]:
    """A name, and the same with the first numbers; behind them one that is free, if those are all taken."""
    yield name
    yield from (f"{name} ({number})" for number in range(2, MOST_ALIKE + 1))
    numbers = _numbers(name, taken, suffix)
    yield next(f"{name} ({n})" for n in itertools.count(MOST_ALIKE + 1) if n not in numbers)


def _numbers(name: str, taken: Mapping[str, Entry], suffix: str) -> set[int]:
    """The numbers that a name is taken with."""
    begin, end = folded(f"{name} ("), folded(f"){suffix}")
    alike = (one[len(begin) : -len(end)] for one in taken if one.startswith(begin) and one.endswith(end))
    return {int(number) for number in alike if re.fullmatch("[1-9][0-9]{0,8}", number)}


def _alike(name: str, taken: Mapping[str, Entry], suffix: str = "") -> list[str]:
    """A name, and the same with each number that it is taken with."""
    return [name, *(f"{name} ({number})" for number in sorted(_numbers(name, taken, suffix)))]


def _taken(folder: Path) -> dict[str, Entry]:
    return {folded(entry.name): entry for entry in storage.entries(folder)}


def _made_of(job: Job) -> object:
    return _photo_and_styles({part: image.sha256 for part, image in job.images.items()})


def _photo_and_styles(inputs: Mapping[str, str]) -> tuple[str | None, list[str]]:
    return inputs.get("content"), sorted(digest for part, digest in inputs.items() if part.startswith("style-"))


def _told(path: Path) -> tuple[str | None, list[str]]:
    """What a picture says that it was made of."""
    try:
        with storage.open_file(path) as file:
            return _photo_and_styles(metadata.inputs_told(file))
    except OSError as error:
        if storage.is_of_entry(error):
            return None, []
        raise


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names are of one file, or the first is a copy of the second."""
    mine, its = storage.look(one), storage.look(other)
    if mine is None or its is None:
        return False
    if (mine.st_dev, mine.st_ino) == (its.st_dev, its.st_ino):
        return True
    return mine.st_size == its.st_size and mine.st_nlink == 1 and _digest(one) == _digest(other)


def _digest(path: Path) -> str:
    with storage.open_file(path) as file:
        return storage.at_once(storage.digest_of(file))
