"""What counts as a drop: a manifest, a folder with a ``job.yaml``, an earlier claim, a failed one to retry.

What comes near to one, but is none, gets a hint.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import storage
from pipeline.inbox.places import Places
from pipeline.jobs.record import is_job_id, name_in
from pipeline.manifest.names import default_name
from pipeline.pictures import images

MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")
STYLE_NAMES = tuple(f"style{suffix}" for suffix in MANIFEST_SUFFIXES)
DOCUMENT_SUFFIXES = (".doc", ".docx", ".odt", ".pages", ".rtf")
ARCHIVE_SUFFIXES = (".zip", ".7z", ".rar", ".tar", ".tar.gz", ".tgz")
# Pictures that are not read: JPEG XL, drawings, layers, and what cameras call raw.
UNREAD_SUFFIXES = (
    *(".jxl", ".svg", ".pdf", ".psd", ".xcf"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),
)
HINT_SECONDS = 5.0  # that a folder must have kept still before what it lacks is told
NESTED = 20  # folders within one that are looked into for what somebody may have meant


@dataclass(frozen=True)
class Drop:
    """A manifest in the inbox, alone or in a folder of its own, that is or may become a job."""

    entry: Path  # what a claim renames: the manifest, or the job folder
    manifest: Path
    places: Places
    label: str  # the manifest's file name as it was dropped
    default_name: str
    id: str | None = None  # once it is claimed


@dataclass(frozen=True)
class StyleFolder:
    """A folder of photos that are to be painted like one style: by a manifest without `content`, or a picture alone."""

    folder: Path
    style: Path  # style.yaml, or style.jpg

    @property
    def has_manifest(self) -> bool:
        """Whether the style is a manifest."""
        return _is_manifest(self.style.name)


class Drops:
    """The drops in an inbox, and those of failed intakes to retry.

    Args:
        inbox: the folder.
        claimed: where this runner's claims are.
        retries: ``jobs/.retry``, whose drops are treated as claimed ones.
        libraries: further folders that manifests may name images in.
    """

    def __init__(self, inbox: Path, claimed: Path, retries: Path, libraries: Sequence[Path]) -> None:
        self.hints: set[str] = set()  # what somebody may have meant as a drop
        self.style_folders: list[StyleFolder] = []
        self.inbox = inbox
        self.claimed = claimed
        self._retries = retries
        self.libraries = tuple(libraries)

    def look(self) -> list[Drop]:
        """All that are there: claimed ones of an earlier life first, then by name.

        Sets ``hints`` and ``style_folders``.
        """
        self.hints, self.style_folders = set(), []
        return [*self._claimed(), *self._to_retry(), *self._dropped()]

    def _claimed(self) -> Iterator[Drop]:
        for found in _listing(self.claimed):
            entry, job_id = found.path, found.name if found.is_folder else found.path.stem
            if not is_job_id(job_id):  # nobody's claim: it is left, and its name becomes part of no path
                continue
            name = name_in(job_id)
            if found.is_folder:
                manifest = job_manifest(entry) or entry / "job.yaml"
                yield Drop(entry, manifest, self._within(entry), f"{name}/{manifest.name}", name, job_id)
            else:
                yield Drop(entry, entry, self._flat(), name + entry.suffix, name, job_id)

    def _to_retry(self) -> Iterator[Drop]:
        for entry in (found.path for found in _listing(self._retries) if is_job_id(found.name)):
            kept, name = entry / "drop", name_in(entry.name)
            if storage.is_there(entry / "drop.folder"):
                if manifest := job_manifest(kept):
                    yield Drop(entry, manifest, self._within(kept), manifest.name, name, entry.name)
            elif manifest := next(iter(_manifests(kept)), None):
                yield Drop(entry, manifest, self._flat(), manifest.name, name, entry.name)

    def _dropped(self) -> Iterator[Drop]:
        for entry in storage.entries(self.inbox):
            path = entry.path
            if entry.name.startswith("."):
                continue
            if entry.is_folder:
                names = _names(path)
                if job := next(filter(_is_job, names), None):
                    label = printable(f"{entry.name}/{job}")
                    yield Drop(path, path / job, self._within(path), label, default_name(entry.name))
                    continue
                styles = [name for name in names if name.lower() in STYLE_NAMES] or list(filter(is_style_name, names))
                if styles and not _is_manifest(entry.name):
                    self.style_folders.append(StyleFolder(path, path / styles[0]))
                self.hints |= {printable(hint) for hint in _hints_of_folder(path, names, styles)}
            elif _is_manifest(entry.name):
                yield Drop(path, path, self._flat(), printable(entry.name), default_name(entry.name))
            elif hint := _hint_of_file(entry.name):
                self.hints.add(printable(hint))

    def _flat(self) -> Places:
        return Places(self.inbox, self.inbox, self.libraries)

    def _within(self, folder: Path) -> Places:
        return Places(self.inbox, folder, self.libraries, is_job_folder=True)


def job_manifest(folder: Path) -> Path | None:
    """The ``job.yaml`` (or .yml, .json) that makes a folder a job."""
    return next((folder / name for name in _names(folder) if _is_job(name)), None)


def printable(name: str) -> str:
    """A file name as text: bytes that are no UTF-8 cannot be written into a log."""
    return os.fsencode(name).decode("utf-8", "replace")


def is_photo(name: str) -> bool:
    """Whether a file name is one of an image that is read."""
    return name.lower().endswith(images.PHOTO_SUFFIXES)


def is_style_name(name: str) -> bool:
    """Whether a file name is that of the picture that makes a style folder."""
    return name[:6].lower() == "style." and is_photo(name) and name.count(".") == 1


def _hints_of_folder(folder: Path, names: Sequence[str], styles: Sequence[str]) -> Iterator[str]:
    """What somebody may have meant by a folder that is no job."""
    if len(styles) > 1:
        yield f"{folder.name}: {styles[0]} is its style, and {styles[1]} is not looked at; keep one of them"
    for name in (name for name in names if _is_manifest(name) and name not in styles):
        if _is_job(name.lower()):
            yield f"{folder.name}/{name} is not looked at; rename it to {name.lower()}"
        else:
            job = f"job{os.path.splitext(name)[1].lower()}"
            yield f"{folder.name}/{name} is not looked at: the manifest of a folder is named {job}; rename it to that"
        return
    if styles or _age(folder) < HINT_SECONDS:
        return
    nested = {name: _names(folder / name) for name in names[:NESTED]}
    if inner := next((name for name, its in nested.items() if any(map(is_style_name, its))), None):
        yield f"{folder.name}/{inner} is not looked at: a style folder lies in the inbox itself; move it there"
    elif any(map(is_photo, itertools.chain(names, *nested.values()))):
        yield (
            f"{folder.name} has photos and no style: only what a manifest names is painted;"
            f" put a painting into it as {folder.name}/style.jpg, and each is painted like that"
        )


def _hint_of_file(name: str) -> str:
    """What somebody may have meant by a file that is no drop; else nothing."""
    stem, suffix = os.path.splitext(name)
    if suffix.lower() == ".txt" and _is_manifest(stem):
        return f"{name} is not looked at, as it ends in {suffix}; rename it to {stem}"
    if suffix.lower() in DOCUMENT_SUFFIXES:
        return f"{name} is not looked at: a manifest is plain text; save it as that, under the name {stem}.yaml"
    if name.lower().endswith(ARCHIVE_SUFFIXES):
        return f"{name} is not looked at: an archive; unpack it, and drop the folder"
    return ""


def _is_manifest(name: str) -> bool:
    return name.lower().endswith(MANIFEST_SUFFIXES)


def _is_job(name: str) -> bool:
    return _is_manifest(name) and os.path.splitext(name)[0] == "job"


def _manifests(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder) if _is_manifest(name)]


def _age(folder: Path) -> float:
    """Seconds since something came to, or went from, a folder."""
    with storage.passed_over():
        if found := storage.look(folder):
            return time.time() - found.st_mtime
    return 0.0


def _names(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where it cannot be read."""
    try:
        return [name for name in storage.names(folder) if not name.startswith(".")]
    except OSError:
        return []


def _listing(folder: Path) -> list[storage.Entry]:
    try:
        return [entry for entry in storage.entries(folder) if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
