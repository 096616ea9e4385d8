"""What somebody may have meant by what is no drop. A hint is followed, so it has to be safe to follow."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline import storage
from pipeline.errors import ImageError
from pipeline.inbox import conflicts
from pipeline.inbox.drops import (
    HINT_SECONDS,
    Drops,
    Other,
    age,
    is_job,
    is_manifest,
    is_note,
    is_photo,
    is_style_name,
    names_in,
    printable,
    style_meant,
)
from pipeline.inbox.stability import Signature, signature_of
from pipeline.pictures import series
from pipeline.storage import Slices

DOCUMENT_SUFFIXES = (".doc", ".docx", ".odt", ".pages", ".rtf")
ARCHIVE_SUFFIXES = (".zip", ".7z", ".rar", ".tar", ".tar.gz", ".tgz")
_DOCUMENT = re.compile(r"\.(ya?ml|json)", re.IGNORECASE)
NESTED = 20  # folders within one that are looked into for what somebody may have meant
KEPT_SECONDS = 30.0  # that what is said of a folder stands, unless something comes or goes there
FOLDERS_A_SLICE = 10
READ = 100  # documents of a folder that are looked into
FEW = 5  # notes of other programs beside photos that are told one by one
MOST = 20  # hints of one kind; the last one counts the others


class Hints:
    """Looks for them; into a folder that has not changed only now and then, as there may be hundreds of albums."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Signature, float, set[str]]] = {}  # with when it was looked into

    def find(self, drops: Drops) -> Slices[set[str]]:
        """A sentence for everything in an inbox that comes near to a drop, but is none; a few folders at a time."""
        found: set[str] = set()
        before, self._known, looked_into = self._known, {}, 0
        for other in drops.others:
            version = _version(other.path) if other.names is not None else None
            known = before.get(other.path)
            if known and known[0] == version and time.monotonic() - known[1] < KEPT_SECONDS:
                self._known[other.path] = known
                found |= known[2]
                continue
            told = {printable(hint) for hint in _of(other, drops)}
            found |= told
            if version and age(other.path) > HINT_SECONDS:  # else it may change within a tick of its clock
                self._known[other.path] = version, time.monotonic(), told
            looked_into += other.names is not None
            if looked_into == FOLDERS_A_SLICE:
                looked_into = 0
                yield
        return found


def _version(folder: Path) -> Signature | None:
    with storage.passed_over():
        if status := storage.look(folder):
            return signature_of(status)
    return None


def some_of(hints: Sequence[str]) -> list[str]:
    """Hints of one kind, as many as somebody may read."""
    told = sorted(hints)
    if len(told) <= MOST:
        return told
    return [*told[:MOST], f"{len(told) - MOST:,} more such as this: {told[-1]}"]


def of_foreign(found: Mapping[str, str]) -> list[str]:
    """What is said of documents that are another program's, by their paths: of notes beside many photos in one line."""
    notes = sorted(filter(is_note, found))
    told = some_of([hint for path, hint in found.items() if path not in notes or len(notes) <= FEW])
    if len(notes) > FEW:
        several = f"{notes[0]} and {len(notes) - 1:,} more are not understood"
        told.append(f"{several}: notes of another program beside photos; they stay where they are")
    return told


def _of(other: Other, drops: Drops) -> Iterator[str]:
    if other.names is None:
        if hint := _of_file(other.path.name):
            yield hint
        return
    if len(other.styles) > 1:
        first, second = other.styles[:2]
        yield f"{other.path.name}: {first} is its style, and {second} is not looked at; keep one of them"
    told, foreign = _of_documents(other, drops)
    yield from some_of(told)
    yield from of_foreign(foreign)
    if not other.styles and age(other.path) > HINT_SECONDS:
        yield from _of_photos(other)


def _of_documents(other: Other, drops: Drops) -> tuple[list[str], dict[str, str]]:
    """What is said of the documents in a folder that is no job; of those that are another program's by their paths."""
    folder, told, foreign = other.path, list[str](), dict[str, str]()
    documents = [name for name in other.names or () if _DOCUMENT.search(name)]
    copies = {name: copy for name in documents if (copy := conflicts.original(name)) and is_manifest(copy[0])}
    documents = [name for name in documents if name in copies or is_manifest(name)]
    documents = sorted((name for name in documents if name not in other.styles), key=lambda name: (is_note(name), name))
    versions = drops.documents.versions(folder) if documents else {}
    for name in documents[:READ]:
        path = f"{folder.name}/{name}"
        job = f"job{os.path.splitext(name)[1].lower()}"
        if name in copies and not is_note(name):
            told.append(conflicts.told(path, copies[name]))
        elif lack := drops.documents.lack(folder / name, versions.get(name)):
            foreign[path] = f"{path} is not understood: {lack}; it stays where it is"
        elif other.styles:
            told.append(f"{path} is not looked at: {other.styles[0]} is the style of this folder")
        elif not drops.documents.is_whole(folder / name, drops.inbox, versions.get(name)):
            told.append(
                f"{path} is not looked at: the manifest of a folder is named {job}, and this one cannot be used yet;"
                f" `stylistic check` says what it lacks"
            )
        elif is_job(name.lower()):
            told.append(f"{path} is not looked at; rename it to {job}")
        else:
            told.append(f"{path} is not looked at: the manifest of a folder is named {job}; rename it to that")
    return told, foreign


def _of_photos(other: Other) -> Iterator[str]:
    """What is said of photos in a folder without a style."""
    names = other.names or ()
    nested = {name: names_in(other.path / name) for name in names[:NESTED]}
    meant = min((name for name in names if style_meant(name, is_sure=False)), key=len, default=None)
    if meant:
        style = f"style{os.path.splitext(meant)[1].lower()}"
        yield (
            f"{other.path.name}/{meant} is no style: did you mean {style}? Rename it, and each photo in"
            f" {other.path.name} is painted like that"
        )
    elif inner := next((name for name, its in nested.items() if any(map(is_style_name, its))), None):
        yield f"{other.path.name}/{inner} is not looked at: a style folder lies in the inbox itself; move it there"
    elif any(map(is_photo, itertools.chain(names, *nested.values()))):
        yield (
            f"{other.path.name} has photos and no style: only what a manifest names is painted;"
            f" put a painting into it as {other.path.name}/style.jpg, and each is painted like that{_as_clip(names)}"
        )


def _as_clip(names: Sequence[str]) -> str:
    """What else may be meant by a folder of numbered pictures."""
    try:
        is_clip = len(series.numbered("", names)) > 1
    except ImageError:
        return ""
    return "; or are they frames of a clip? A manifest with `frames: true` names their folder" if is_clip else ""


def _of_file(name: str) -> str:
    """What is said of a file that is no drop; else nothing."""
    stem, suffix = os.path.splitext(name)
    if suffix.lower() == ".txt" and is_manifest(stem):
        return f"{name} is not looked at, as it ends in {suffix}; rename it to {stem}"
    if suffix.lower() in DOCUMENT_SUFFIXES:
        return f"{name} is not looked at: a manifest is plain text; save it as that, under the name {stem}.yaml"
    if name.lower().endswith(ARCHIVE_SUFFIXES):
        return f"{name} is not looked at: an archive; unpack it, and drop the folder"
    return ""
