"""How much lies in an inbox that no runner has seen to; told without touching anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline import storage
from pipeline.inbox.drops import Drops, StyleFolder, is_photo, is_style_name
from pipeline.inbox.painted import Content, Painted, version_of
from pipeline.inbox.stillness import signature_of
from pipeline.manifest.model import Limits
from pipeline.pictures.images import BYTES_A_PIXEL

MOST_TEXT_BYTES = 1 << 20


def count(inbox: Path, claimed: Path, retries: Path) -> int:
    """Drops, and photos in style folders that have not become jobs as they are now.

    Args:
        inbox: the inbox.
        claimed: where the runner's claims are.
        retries: ``jobs/.retry``.
    """
    drops = Drops(inbox, claimed, retries, ())
    dropped = [drop for drop in drops.look() if drop.id is not None or not drops.documents.lack(drop.manifest)]
    return len(dropped) + sum(1 for folder in drops.style_folders for _ in _new(inbox, folder))


def _new(inbox: Path, found: StyleFolder) -> Iterator[str]:
    try:
        painted = Painted(inbox, found.folder.name, "")
    except (NotADirectoryError, PermissionError):  # which a runner tells
        painted = None
    named = _text(found.style) if found.has_manifest else ""
    for parent, folders, names in os.walk(found.folder):
        depth = len(Path(parent).relative_to(found.folder).parts)
        folders[:] = [name for name in folders if not name.startswith(".") and depth < Limits().max_depth - 1]
        for name in names:
            path = Path(parent, name)
            # What the style names is one of its paintings.
            if name.startswith(".") or not is_photo(name) or is_style_name(name) or name in named:
                continue
            photo = str(path.relative_to(found.folder))
            if not path.is_file() or not Path(os.path.realpath(path)).is_relative_to(inbox):
                continue  # no photo, or one that is told to lead elsewhere
            try:
                if painted is None or not _is_painted(path, photo, painted):
                    yield photo
            except OSError:
                continue


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
