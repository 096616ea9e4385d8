"""The photos that a pattern stands for, such as ``content: photos/*.jpg``: whatever the case of their letters."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline import storage
from pipeline.errors import JobError, short
from pipeline.inbox import foreign_paths
from pipeline.inbox.ignored import SYSTEMS, Ignored
from pipeline.inbox.places import Places
from pipeline.manifest.model import Limits, Manifest
from pipeline.pictures import suffixes

MAX_DEPTH = 16  # of folders below the first that `**` stands for
MAX_PARTS = 64  # of a pattern
_Part = re.Pattern[str] | None  # None for `**`


def expand(manifest: Manifest, places: Places, limits: Limits, ignored: Ignored = SYSTEMS) -> Manifest:
    """The manifest with the photos that the patterns of its sweep stand for, by name.

    Args:
        manifest: returned as it is if its sweep has no pattern.
        places: where patterns start: beside the manifest, else in the first library in which one matches.
        limits: refused beyond.
        ignored: what is not looked at.

    Raises:
        FileNotFoundError: a pattern matches nothing.
        JobError: a pattern leads out of the folders, or matches too much.
    """
    contents = (manifest.sweep or {}).get("content", [])
    if not any(isinstance(content, str) and is_pattern(content) for content in contents):
        return manifest
    ignored = ignored.entering(places.inbox)
    paths: list[str] = []
    for content in contents:
        if not isinstance(content, str) or not is_pattern(content) or storage.is_there(places.path(content)):
            paths.append(content)
            continue
        if Path(content).is_absolute() or ".." in Path(content).parts:
            raise JobError(f"`sweep`, {short(content)}: a pattern must stay inside the inbox.")
        folders = (places.folder, *places.libraries)
        try:
            matches = _matches(folders, content, ignored) or _matches(folders, content.replace("\\", "/"), ignored)
        except ValueError as error:
            raise JobError(f"`sweep`, {short(content)}: not a pattern ({error}).") from None
        if not matches and (kind := foreign_paths.kind(content)):
            raise JobError(f"`sweep`, {short(content)}: {kind[0]}.", kind[1])
        if not matches:
            raise FileNotFoundError(f"nothing matches {short(content)}")
        paths += matches
    expanded = manifest.with_contents(list(dict.fromkeys(paths)))
    if excess := expanded.excess_of_variants(limits):
        raise JobError(f"{excess}.")
    return expanded


def _matches(folders: Iterable[Path], pattern: str, ignored: Ignored) -> list[str]:
    """The photos that a pattern stands for, in the first folder in which there are any."""
    return next(filter(None, (photos(folder, pattern, ignored=ignored) for folder in folders)), [])


def is_pattern(path: str) -> bool:
    """Whether a path stands for others."""
    return any(mark in path for mark in "*?[")


def photos(
    folder: Path, pattern: str, is_meant: Callable[[str], bool] = suffixes.is_read, ignored: Ignored = SYSTEMS
) -> list[str]:
    """The photos below a folder that a pattern stands for, relative to it, by name.

    ``*``, ``?`` and ``[…]`` stand within a name, ``**`` for any folders. Links to folders are not followed; hidden
    names, what is ignored and files that are not meant by their names, as by their suffix those of no photo, are left
    out.

    Raises:
        ValueError: it is no pattern.
    """
    parts: list[_Part] = []
    for part in Path(pattern).parts:
        if "**" in part and part != "**":
            raise ValueError("`**` must stand alone between slashes")
        if part != "**":
            parts.append(re.compile(fnmatch.translate(part), re.IGNORECASE))
        elif not parts or parts[-1] is not None:  # one after another stand for no more than one
            parts.append(None)
    if len(parts) > MAX_PARTS:
        raise ValueError(f"more than {MAX_PARTS} folders in a row")
    found = {os.path.relpath(path, folder) for path in _walk(folder, {0}, parts, 0, ignored)}
    return sorted(filter(is_meant, found))


def _walk(folder: Path, reached: set[int], parts: list[_Part], level: int, ignored: Ignored) -> Iterator[Path]:
    """Every file whose path has the parts.

    Args:
        folder: so many levels below the first.
        reached: of its entries the parts that may be next. All at once, as `**` may stand for no folder or many: each
            way by itself would be walked as often as there are ways.
    """
    reached = reached | {number + 1 for number in reached if parts[number] is None} - {len(parts)}
    ignored = ignored.entering(folder)
    try:
        found = [entry for entry in storage.entries(folder) if not entry.name.startswith(".")]
    except OSError:  # gone, no folder, or not ours to read: nothing to be found
        return
    for entry in found:
        if ignored.has(entry.path, entry.is_folder):
            continue
        following = {number + 1 for number in reached if (part := parts[number]) and part.match(entry.name)}
        if not entry.is_folder:
            if len(parts) in following and (entry.is_file or (entry.is_link and storage.leads_to_file(entry.path))):
                yield entry.path
            continue
        if level < MAX_DEPTH:
            following |= {number for number in reached if parts[number] is None}
        if following := following - {len(parts)}:
            yield from _walk(entry.path, following, parts, level + 1, ignored)
