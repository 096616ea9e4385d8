"""Whether an inbox and what a runner writes to are apart: an outbox within an inbox would feed itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

REMEDY = "Give each a folder of its own, side by side, or results become photos again."


def overlaps(inbox: Path, libraries: Sequence[Path], **others: Path) -> list[str]:
    """A part of a sentence for each two folders that must not be one, or one within the other; links are resolved.

    Args:
        inbox: the folder that drops and photos come into.
        libraries: folders that images are taken from.
        others: by the names of their options: ``jobs``, ``outbox``.
    """
    inbox = inbox.resolve()
    named = [*others.items(), *(("library", library) for library in libraries)]
    found = [sentence for name, folder in named for sentence in _within(inbox, name, folder.resolve())]
    for (name, folder), (other, also) in itertools.combinations(others.items(), 2):
        if _is_same(folder.resolve(), also.resolve()):
            found.append(f"{folder.resolve()} is given as --{name} and as --{other}")
    return found


def _within(inbox: Path, name: str, folder: Path) -> Iterator[str]:
    if _is_same(inbox, folder):
        yield f"{folder} is given as --inbox and as --{name}"
    elif any(_is_same(inbox, above) for above in folder.parents):
        yield f"{folder} (--{name}) lies within {inbox} (--inbox)"
    elif any(_is_same(folder, above) for above in inbox.parents):
        yield f"{inbox} (--inbox) lies within {folder} (--{name})"


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths are one folder, also where one disk is mounted twice or does not mind case."""
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False
