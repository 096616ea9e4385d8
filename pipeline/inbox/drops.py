"""What counts as a drop: a manifest, a folder with a ``job.yaml``, an earlier claim, a failed one to retry."""

from __future__ import annotations

import difflib
import os
import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import storage
from pipeline.inbox import conflicts
from pipeline.inbox.documents import Documents
from pipeline.inbox.ignored import SYSTEMS, Ignored, is_of_system
from pipeline.inbox.places import Places
from pipeline.jobs.record import is_job_id, name_in
from pipeline.manifest.names import default_name
from pipeline.manifest.recognition import EMPTY
from pipeline.pictures import suffixes

MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")
STYLE_NAMES = tuple(f"style{suffix}" for suffix in MANIFEST_SUFFIXES)
# What copying adds to a name: a number, or "copy" in the language of the system.
_ADDED = re.compile(r"[\s._-]*(?:\(\d+\)|\d+|copy|kopie|copie|copia|cópia|kopia|kopi|kopya|копия|コピー|副本|복사본)$")
_PHOTO_SUFFIX = re.compile(rf"\s*(?:{'|'.join(map(re.escape, suffixes.READ))})(?=\.|$)")
_IN_NOTES = re.compile(rf"(?:{'|'.join(map(re.escape, (*suffixes.READ, *suffixes.UNREAD, *suffixes.VIDEOS)))})[.( ]")
_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
NEARNESS = 0.75  # of a name to "style", which may be a slip
HINT_SECONDS = 5.0  # that a file or folder must have kept still before what it lacks is told


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
    picture: str | None = None  # the style.jpg beside a style.yaml, which need not name it

    @property
    def has_manifest(self) -> bool:
        """Whether the style is a manifest."""
        return is_manifest(self.style.name)


@dataclass(frozen=True)
class Other:
    """What lies in an inbox and is no drop; of a folder the names in it, and those of its style."""

    path: Path
    names: Sequence[str] | None = None
    styles: Sequence[str] = ()


class Drops:
    """The drops in an inbox, and those of failed intakes to retry.

    Args:
        inbox: the folder.
        claimed: where this runner's claims are.
        retries: ``jobs/.retry``, whose drops are treated as claimed ones.
        libraries: further folders that manifests may name images in.
        ignored: what is not looked at.
    """

    def __init__(
        self,
        inbox: Path,
        claimed: Path,
        retries: Path,
        libraries: Sequence[Path],
        ignored: Ignored = SYSTEMS,
    ) -> None:
        self.hints: set[str] = set()  # what somebody may have meant as a drop
        self.others: list[Other] = []
        self.style_folders: list[StyleFolder] = []
        self.inbox = inbox
        self.claimed = claimed
        self._retries = retries
        self.libraries = tuple(libraries)
        self.documents = Documents()
        self.ignored = self._ignored = Ignored(ignored.rules)  # in the inbox, and before it was looked at
        self._copies: dict[str, tuple[str, str]] = {}

    def look(self) -> list[Drop]:
        """All that are there: claimed ones of an earlier life first, then by name.

        Sets ``hints``, ``style_folders`` and ``others``.
        """
        self.hints, self.style_folders, self.others = set(), [], []
        self._ignored.told.clear()
        self.ignored = self._ignored.entering(self.inbox)
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
        found = [entry for entry in storage.entries(self.inbox) if not entry.name.startswith(".")]
        names = {entry.name for entry in found}
        for entry in found:
            path = entry.path
            if self.ignored.has(path, entry.is_folder):
                continue
            if copy := self._conflict(entry.name, names, entry.is_folder):
                self.hints.add(printable(conflicts.told(entry.name, copy)))
            elif entry.is_folder:
                yield from self._in_folder(path)
            elif is_manifest(entry.name):
                yield Drop(path, path, self._flat(), printable(entry.name), default_name(entry.name))
            else:
                self.others.append(Other(path))

    def _in_folder(self, folder: Path) -> Iterator[Drop]:
        ignored = self.ignored.entering(folder)
        names = names_in(folder)
        if ignored.says_more:
            names = [name for name in names if not ignored.has(folder / name, is_folder=False)]
        styles = [name for name in names if name.lower() in STYLE_NAMES and not self._is_foreign(folder / name)]
        pictures = list(filter(is_style_name, names))
        styles = styles or pictures
        job = next(filter(is_job, names), None)
        if job and not (styles and self.documents.lack(folder / job)):
            label = printable(f"{folder.name}/{job}")
            yield Drop(folder, folder / job, self._within(folder), label, default_name(folder.name))
            return
        if styles and not is_manifest(folder.name):
            self.style_folders.append(StyleFolder(folder, folder / styles[0], next(iter(pictures), None)))
        self.others.append(Other(folder, names, styles))

    def _is_foreign(self, style: Path) -> bool:
        """Whether a document named style is another program's; not while somebody may be writing it."""
        return age(style) > HINT_SECONDS and self.documents.lack(style) not in ("", EMPTY)

    def _conflict(self, name: str, names: Collection[str], is_folder: bool) -> tuple[str, str] | None:
        """What a drop is a conflict copy of; remembered, as the original may have been taken."""
        if is_folder:
            return conflicts.original(name, is_folder)
        if is_note(name):
            return None
        found = conflicts.original(name) or conflicts.beside(name, names)
        if found is None or not is_manifest(found[0]):
            return self._copies.get(name)
        self._copies[name] = found
        return found

    def _flat(self) -> Places:
        return Places(self.inbox, self.inbox, self.libraries)

    def _within(self, folder: Path) -> Places:
        return Places(self.inbox, folder, self.libraries, is_job_folder=True)


def job_manifest(folder: Path) -> Path | None:
    """The ``job.yaml`` (or .yml, .json) that makes a folder a job."""
    return next((folder / name for name in names_in(folder) if is_job(name)), None)


def printable(name: str) -> str:
    """A file name as text in one line: bytes that are no UTF-8 cannot be written into a log, and no name is to forge
    another line of one."""
    return as_text(name).translate(_CONTROLS)


def as_text(name: str) -> str:
    """A file name without bytes that are no UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def is_photo(name: str) -> bool:
    """Whether a file name is one of an image that is read, or of a video."""
    return suffixes.is_read(name) or suffixes.is_video(name)


def is_style_name(name: str) -> bool:
    """Whether a file name is that of the picture that makes a style folder."""
    return name[:6].lower() == "style." and suffixes.is_read(name) and name.count(".") == 1


def is_manifest(name: str) -> bool:
    """Whether a file name is one that a manifest may have."""
    return name.lower().endswith(MANIFEST_SUFFIXES)


def is_note(name: str) -> bool:
    """Whether a file name is one of what programs note beside a photo: ``1.jpg.json``, ``1.jpg(1).json``."""
    return name.lower().endswith(".json") and bool(_IN_NOTES.search(name.lower()))


def is_job(name: str) -> bool:
    """Whether a file name is that of the manifest that makes a folder a job."""
    return is_manifest(name) and os.path.splitext(name)[0] == "job"


def _manifests(folder: Path) -> list[Path]:
    return [folder / name for name in names_in(folder) if is_manifest(name)]


def age(path: Path) -> float:
    """Seconds since a file was written, or something came to, or went from, a folder."""
    found = storage.glance(path)
    return time.time() - found.st_mtime if found else 0.0


def style_meant(name: str, is_sure: bool = True) -> bool:
    """Whether a picture is named like a style but for what copying, or a hidden suffix, has added: ``style (1).jpg``.

    Args:
        name: of the file.
        is_sure: leave slips out, such as ``stile.jpg``.
    """
    if is_style_name(name) or not is_photo(name):
        return False
    stem = _PHOTO_SUFFIX.sub("", name.lower())
    before, stem = "", stem.strip()
    while before != stem:
        before, stem = stem, _ADDED.sub("", stem)
    return stem == "style" or (not is_sure and difflib.SequenceMatcher(None, stem, "style").ratio() >= NEARNESS)


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted, but for hidden ones and those of systems; none where it cannot be read."""
    try:
        names = [name for name in storage.names(folder) if not name.startswith(".")]
    except OSError:
        return []
    return [name for name in names if not is_of_system(name) and not is_of_system(name, is_folder=True)]


def _listing(folder: Path) -> list[storage.Entry]:
    try:
        return [entry for entry in storage.entries(folder) if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
