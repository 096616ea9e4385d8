"""Links that a person has put into a drop, such as a photo that lies elsewhere in the inbox: followed within roots."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from pipeline.storage.files import open_file
from pipeline.storage.folders import names


class OutsideError(Exception):
    """A path that leads out of the folders that may be read."""


def open_within(path: Path, roots: Iterable[Path]) -> BinaryIO:
    """Open a regular file that lies in one of ``roots``, links followed, whatever is swapped meanwhile.

    The path is resolved once; then every folder on the way is opened without following links, so that a link put there
    after the check leads nowhere. A root is taken as it is named: one that has become a link itself leads nowhere, too.

    Raises:
        OutsideError: it leads out of the roots.
        OddError: it is no regular file.
        NotADirectoryError: a folder on the way is none, or has just become a link.
        FileNotFoundError: it, or a folder on the way, is not there.
    """
    return open_file(_within(path, roots))


def names_within(folder: Path, roots: Iterable[Path]) -> tuple[Path, list[str]]:
    """Where a folder in one of ``roots`` is, links followed, and the names in it; errors as ``open_within``."""
    target = _within(folder, roots)
    return target, names(target)


def _within(path: Path, roots: Iterable[Path]) -> Path:
    target = Path(os.path.realpath(path))
    if not any(target.is_relative_to(root) and target != root for root in map(Path, map(os.path.abspath, roots))):
        raise OutsideError(str(path))
    return target


def follow_within(path: Path, roots: Iterable[Path]) -> os.stat_result | None:
    """``follow``, of what lies in one of ``roots``: what is elsewhere is not looked at, and None."""
    try:
        return follow(_within(path, roots))
    except (OutsideError, ValueError):
        return None


def leads_to_file(link: Path) -> bool:
    """Whether a link leads to a regular file, wherever that is."""
    found = follow(link)
    return found is not None and stat.S_ISREG(found.st_mode)


def follow(path: Path) -> os.stat_result | None:
    """What a link leads to; None where it leads nowhere, or cannot be looked at."""
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None
