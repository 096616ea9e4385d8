"""What of a style folder has become a job: a file for each content, in the inbox, where all its runners see it.

``inbox/.painted/<folder>/<SHA-256>``. That it can be made only once is what keeps two runners from painting one photo.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from pipeline import storage
from pipeline.inbox.stability import Signature
from pipeline.jobs.fields import SpoiltError, Text, read_json

PAINTED = ".painted"
MOST_BYTES = 1 << 16  # of a mark

_Int = Annotated[int, Field(strict=True, ge=-(2**64), le=2**64)]
Version = tuple[_Int, _Int, _Int]


class Mark(BaseModel):
    """What a mark says besides its name."""

    photo: Text  # relative to the style folder
    version: Version  # of the photo's file
    style: Text  # what the style was, as a digest
    runner: Text  # "" if its writing was cut off


@dataclass(frozen=True)
class Content:
    """A photo's content under a style, both as SHA-256; ``again`` if another style makes it another."""

    photo: str
    style: str
    again: bool

    @property
    def mark(self) -> str:
        """The name of its mark."""
        return f"{self.photo}.{self.style[:16]}" if self.again else self.photo


class Marks:
    """The marks of one style folder.

    Args:
        inbox: the inbox.
        name: of the style folder.
        runner: the name of this runner, for whoever asks whose a mark is.
    """

    def __init__(self, inbox: Path, name: str, runner: str) -> None:
        self._inbox = inbox
        self._folder = inbox / PAINTED / name
        self._runner = runner
        self._photos: set[str] = set()
        self._pairs: set[tuple[str, str]] = set()
        self._hashes: dict[str, tuple[Version, str]] = {}  # by photo
        self._load()

    def hash_of(self, photo: str, version: Version) -> str | None:
        """The SHA-256 of a photo whose file has not changed since it was taken; None if it has to be taken."""
        known = self._hashes.get(photo)
        return known[1] if known and known[0] == version else None

    def know(self, photo: str, version: Version, digest: str) -> None:
        """Remember a photo's SHA-256 for this life."""
        self._hashes[photo] = version, digest

    def has(self, content: Content) -> bool:
        """Whether it has become a job, as far as this runner knows."""
        if content.again:
            return (content.photo, content.style) in self._pairs
        return content.photo in self._photos

    def read(self, content: Content) -> Mark | None:
        """What its mark says in truth, another runner's too; None if there is no mark."""
        try:
            return read_json(Mark, storage.read(self._folder / content.mark, MOST_BYTES))
        except FileNotFoundError:
            return None
        except (SpoiltError, storage.OddError):
            return Mark(photo="", version=(0, 0, 0), style=content.style, runner="")

    def remember(self, photo: str, style: str) -> None:
        """That a content has become a job, for this life."""
        self._photos.add(photo)
        self._pairs.add((photo, style))

    def add(self, content: Content, photo: str, version: Version, draft: Path) -> None:
        """Mark durably that it becomes a job now.

        Args:
            content: of the photo, under its style.
            photo: relative to the style folder.
            version: of its file.
            draft: the folder that has its draft, where the mark is written first.

        Raises:
            FileExistsError: it has become one; perhaps another runner's.
        """
        if not storage.is_folder(self._folder):
            storage.ensure_folder(self._folder, within=self._inbox)
            storage.sync_folder(self._folder.parent)
        text = Mark(photo=photo, version=version, style=content.style, runner=self._runner).model_dump_json()
        storage.make_once(self._folder / content.mark, text.encode() + b"\n", draft / "mark")

    def _load(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for mark in storage.names(self._folder):
                photo = mark.partition(".")[0]
                self._photos.add(photo)
                with contextlib.suppress(SpoiltError, OSError):  # the name says the most of it
                    note = read_json(Mark, storage.read(self._folder / mark, MOST_BYTES))
                    self._pairs.add((photo, note.style))
                    self._hashes[note.photo] = note.version, photo


def version_of(signature: Signature) -> Version:
    """Inode, size and mtime: what tells a photo's version after a restart, when the device may have another number."""
    return signature[1:]
