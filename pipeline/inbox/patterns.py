"""The photos that a pattern in a sweep stands for, such as ``content: photos/*.jpg``."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import JobError
from pipeline.inbox.places import Places
from pipeline.manifest.model import Limits, Manifest
from pipeline.pictures import images


def expand(manifest: Manifest, places: Places, limits: Limits) -> Manifest:
    """The manifest with the photos that the patterns of its sweep stand for, by name.

    Args:
        manifest: returned as it is if its sweep has no pattern.
        places: where patterns start: beside the manifest, else in the first library in which one matches.
        limits: refused beyond.

    Raises:
        FileNotFoundError: a pattern matches nothing.
        JobError: a pattern leads out of the folders, or matches too much.
    """
    contents = (manifest.sweep or {}).get("content", [])
    if not any(_is_pattern(content) for content in contents):
        return manifest
    paths: list[str] = []
    for content in contents:
        if not _is_pattern(content) or places.path(content).is_file():
            paths.append(content)
            continue
        if Path(content).is_absolute() or ".." in Path(content).parts:
            raise JobError(f"`sweep`, {content}: a pattern must stay inside the inbox.")
        folders = (places.folder, *places.libraries)
        matches = next(filter(None, (_matches(folder, content) for folder in folders)), [])
        if not matches:
            raise FileNotFoundError(f"nothing matches {content}")
        paths += matches
    expanded = manifest.with_contents(list(dict.fromkeys(paths)))
    if excess := expanded.excess_of_variants(limits):
        raise JobError(f"{excess}.")
    return expanded


def _is_pattern(content: object) -> bool:
    return isinstance(content, str) and any(mark in content for mark in "*?[")


def _matches(folder: Path, pattern: str) -> list[str]:
    try:
        found = [path.relative_to(folder) for path in folder.glob(pattern)]
    except ValueError as error:
        raise JobError(f"`sweep`, {pattern}: not a pattern ({error}).") from None
    return sorted(
        str(path)
        for path in found
        if path.suffix.lower() in images.PHOTO_SUFFIXES and not any(part.startswith(".") for part in path.parts)
    )
