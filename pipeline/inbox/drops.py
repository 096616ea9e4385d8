"""What counts as a drop: a manifest, a folder with a ``job.yaml``, an earlier claim, a failed one to retry."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.inbox.places import Places
from pipeline.jobs.record import name_in
from pipeline.manifest.names import default_name

MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Drop:
    """A manifest in the inbox, alone or in a folder of its own, that is or may become a job."""

    entry: Path  # what a claim renames: the manifest, or the job folder
    manifest: Path
    places: Places
    label: str  # the manifest's file name as it was dropped
    default_name: str
    id: str | None = None  # once it is claimed


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
        self._inbox = inbox
        self._claimed_folder = claimed
        self._retries = retries
        self._libraries = tuple(libraries)

    def look(self) -> list[Drop]:
        """All that are there: claimed ones of an earlier life first, then by name. Sets ``hints``."""
        self.hints = set()
        return [*self._claimed(), *self._to_retry(), *self._dropped()]

    def _claimed(self) -> Iterator[Drop]:
        for entry in _listing(self._claimed_folder):
            if entry.is_dir() and not entry.is_symlink():
                manifest, name = job_manifest(entry) or entry / "job.yaml", name_in(entry.name)
                yield Drop(entry, manifest, self._within(entry), f"{name}/{manifest.name}", name, entry.name)
            else:
                name = name_in(entry.stem)
                yield Drop(entry, entry, self._flat(), name + entry.suffix, name, entry.stem)

    def _to_retry(self) -> Iterator[Drop]:
        for entry in _listing(self._retries):
            kept, name = entry / "drop", name_in(entry.name)
            if (entry / "drop.folder").exists():
                if manifest := job_manifest(kept):
                    yield Drop(entry, manifest, self._within(kept), manifest.name, name, entry.name)
            elif manifest := next(iter(_manifests(kept)), None):
                yield Drop(entry, manifest, self._flat(), manifest.name, name, entry.name)

    def _dropped(self) -> Iterator[Drop]:
        with os.scandir(self._inbox) as entries:
            found = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
        for entry in found:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                manifests = _manifests(path)
                if manifest := next((m for m in manifests if m.stem == "job"), None):
                    label = printable(f"{entry.name}/{manifest.name}")
                    yield Drop(path, manifest, self._within(path), label, default_name(entry.name))
                elif manifests:
                    self.hints.add(
                        f"{entry.name}/{manifests[0].name} is not looked at: a folder whose manifest is named job.yaml"
                        " is taken whole, another is a place for images"
                    )
            elif entry.name.lower().endswith(MANIFEST_SUFFIXES):
                yield Drop(path, path, self._flat(), printable(entry.name), default_name(entry.name))

    def _flat(self) -> Places:
        return Places(self._inbox, self._inbox, self._libraries)

    def _within(self, folder: Path) -> Places:
        return Places(self._inbox, folder, self._libraries, is_job_folder=True)


def job_manifest(folder: Path) -> Path | None:
    """The ``job.yaml`` (or .yml, .json) that makes a folder a job."""
    return next((path for path in _manifests(folder) if path.stem == "job"), None)


def printable(name: str) -> str:
    """A file name as text: bytes that are no UTF-8 cannot be written into a log."""
    return os.fsencode(name).decode("utf-8", "replace")


def _manifests(folder: Path) -> list[Path]:
    try:
        return [path for path in _listing(folder) if path.suffix.lower() in MANIFEST_SUFFIXES]
    except OSError:
        return []


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
