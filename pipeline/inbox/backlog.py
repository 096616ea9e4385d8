"""How much lies in an inbox that no runner has seen to; told without touching anything."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import storage
from pipeline.inbox import films
from pipeline.inbox.drops import Drops, StyleFolder, is_photo, is_style_name, style_meant
from pipeline.inbox.ignored import SYSTEMS, Ignored
from pipeline.inbox.marks import Content, Marks, version_of
from pipeline.inbox.stability import signature_of
from pipeline.manifest.model import Limits
from pipeline.pictures import suffixes
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
        marks = Marks(inbox, found.folder.name, "")
    except OSError:  # which a runner tells
        marks = None
    named = _text(found.style) if found.has_manifest else ""
    for path in _photos(found.folder, Limits().max_depth - 1, ignored):
        # What the style names is one of its paintings.
        photo = str(path.relative_to(found.folder))
        if is_style_name(path.name) or path.name in named or style_meant(photo):
            continue
        try:
            if marks is None or not _is_painted(path, [inbox], photo, marks):
                yield photo
        except (OSError, storage.OutsideError):  # no photo, or one that is told to lead elsewhere
            continue


def _photos(folder: Path, depth: int, ignored: Ignored) -> Iterator[Path]:
    ignored = ignored.entering(folder)
    try:
        found = storage.entries(folder)
    except OSError:
        return
    stills = films.stills(entry.name for entry in found)
    for entry in found:
        if entry.name.startswith(".") or ignored.has(entry.path, entry.is_folder):
            continue
        if films.is_of_live_photo(entry.name, stills) or (suffixes.is_video(entry.name) and not films.are_painted()):
            continue
        if entry.is_folder and depth > 0:
            yield from _photos(entry.path, depth - 1, ignored)
        elif is_photo(entry.name) and not entry.is_folder:
            yield entry.path


def _is_painted(path: Path, roots: Sequence[Path], photo: str, marks: Marks | None) -> bool:
    with storage.open_within(path, roots) as file:
        status = os.fstat(file.fileno())
        if marks is None:
            return False
        digest = marks.hash_of(photo, version_of(signature_of(status)))
        if digest is None and status.st_size > Limits().max_pixels * BYTES_A_PIXEL:
            return False
        digest = digest or storage.at_once(storage.digest_of(file))
    return marks.has(Content(digest, "", again=False))


def _text(path: Path) -> str:
    try:
        return storage.read(path, MOST_TEXT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
