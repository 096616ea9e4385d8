"""How much lies in an inbox that no runner has seen to; told without touching anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline import storage
from pipeline.inbox.drops import Drops, StyleFolder, is_photo, is_style_name
from pipeline.inbox.ignored import SYSTEMS, Ignored
from pipeline.inbox.painted import Content, Painted, version_of
from pipeline.inbox.stillness import signature_of
from pipeline.manifest.model import Limits
from pipeline.pictures.images import BYTES_A_PIXEL

MOST_TEXT_BYTES = 1 << 20


def count(inbox: Path, claimed: Path, retries: Path, ignored: Ignored = SYSTEMS) -> int:
    """Drops, and photos in style folders that have not become jobs as they are now.

    Args:
        inbox: the inbox.
        claimed: where the runner's claims are.
        retries: ``jobs/.retry``.
        ignored: what is not looked at.
    """
    drops = Drops(inbox, claimed, retries, (), ignored)
    dropped = [drop for drop in drops.look() if drop.id is not None or not drops.documents.lack(drop.manifest)]
    return len(dropped) + sum(1 for folder in drops.style_folders for _ in _new(inbox, folder, drops.ignored))


def _new(inbox: Path, found: StyleFolder, ignored: Ignored) -> Iterator[str]:
    try:
        painted = Painted(inbox, found.folder.name, "")
    except (NotADirectoryError, PermissionError):  # which a runner tells
        painted = None
    named = _text(found.style) if found.has_manifest else ""
    for path in _files(found.folder, Limits().max_depth - 1, ignored):
        # What the style names is one of its paintings.
        if not is_photo(path.name) or is_style_name(path.name) or path.name in named:
            continue
        photo = str(path.relative_to(found.folder))
        if not path.is_file() or not Path(os.path.realpath(path)).is_relative_to(inbox):
            continue  # no photo, or one that is told to lead elsewhere
        try:
            if painted is None or not _is_painted(path, photo, painted):
                yield photo
        except OSError:
            continue


def _files(folder: Path, depth: int, ignored: Ignored) -> Iterator[Path]:
    """The files in a folder and those within it; links to folders are not followed."""
    ignored = ignored.entering(folder)
    try:
        with os.scandir(folder) as entries:
            found = [(Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:  # which a runner tells
        return
    for path, is_folder in found:
        if path.name[0] == "." or ignored.has(str(path), is_folder):
            continue
        if not is_folder:
            yield path
        elif depth > 0:
            yield from _files(path, depth - 1, ignored)


def _is_painted(path: Path, photo: str, painted: Painted) -> bool:
    status = path.stat()
    if status.st_size > Limits().max_pixels * BYTES_A_PIXEL:
        return False
    digest = painted.hash_of(photo, version_of(signature_of(status)))
    if digest is None:
        with path.open("rb") as file:
            digest = storage.at_once(storage.digest_of(file))
    return painted.has(Content(digest, "", again=False))


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return file.read(MOST_TEXT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
