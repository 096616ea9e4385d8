"""The inbox: which drops are whole and at rest, and claiming them. Events only say "look"; the scan is the truth."""

from __future__ import annotations

import logging
import math
import os
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from pipeline import storage, sweep
from pipeline.errors import ImageError, IncompleteImageError, JobError, ManifestError
from pipeline.job import name_in
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.names import default_name
from pipeline.manifest.parse import parse_manifest
from pipeline.pictures import images

log = logging.getLogger(__name__)

CLAIMED = ".claimed"
MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")
KEPT_VERDICTS = 10_000  # images whose decoding need not be tried again

Signature = tuple[int, int, int, int]


@dataclass(frozen=True)
class Drop:
    """A manifest in the inbox, alone or in a folder of its own, that is or may become a job."""

    entry: Path  # what a claim renames: the manifest, or the job folder
    manifest: Path
    folder: Path  # what the manifest's image paths are relative to
    label: str  # the manifest's file name as it was dropped
    default_name: str
    is_folder: bool  # a job folder, which a claim takes whole
    id: str | None = None  # once it is claimed


@dataclass(frozen=True)
class Ready:
    """A drop that can be staged: every image is there, at rest, and decodes to its end."""

    drop: Drop
    manifest: Manifest
    sizes: list[tuple[int, int]]  # upright width and height of each of `manifest.images`
    signatures: list[Signature]


@dataclass(frozen=True)
class Rejected:
    """A drop that can never become a job as it is, and why."""

    drop: Drop
    manifest: Manifest | None
    reason: str


@dataclass(frozen=True)
class Waiting:
    """Why a drop waits. A fault (permission, input/output) is the environment's and never times out."""

    reason: str
    is_fault: bool = False
    is_settling: bool = False


@dataclass
class _Sighting:
    """What is known of a drop between scans."""

    changed: dict[Path, float] = field(default_factory=dict)  # monotonic time of each file's last change
    signatures: dict[Path, Signature] = field(default_factory=dict)
    manifest: Manifest | None = None
    parsed: Signature | None = None
    expanded: dict[str, str] | None = None  # what the patterns of a sweep matched, and when that last changed
    expanded_at: float = -math.inf


class Inbox:
    """The drops in an inbox folder, and those of failed intakes to retry.

    Args:
        folder: the inbox.
        retries: ``jobs/.retry``, whose drops are treated as claimed ones.
        libraries: further folders that manifests may name images in.
        settle_seconds: how long size and mtime must have kept.
        input_timeout_seconds: how long missing or incomplete images are waited for, after the last change.
        limits: what a manifest and its images may not exceed.
        trust_times: take a file as settled if its times say so at first sight; not for network shares, whose clock is
            another one.
        presets: a folder of presets of one's own.
    """

    def __init__(
        self,
        folder: Path,
        retries: Path,
        libraries: list[Path],
        settle_seconds: float,
        input_timeout_seconds: float,
        limits: Limits,
        trust_times: bool,
        presets: Path | None = None,
    ) -> None:
        self.folder = folder
        self.waiting: dict[str, Waiting] = {}
        self.hints: set[str] = set()  # what somebody may have meant as a drop
        self._retries = retries
        self._roots = [folder, *libraries]
        self._settle = settle_seconds
        self._timeout = input_timeout_seconds
        self._limits = limits
        self._trust_times = trust_times
        self._presets = presets
        self._sightings: dict[Path, _Sighting] = {}
        self._verdicts: dict[Signature, tuple[int, int] | ImageError] = {}

    def scan(self) -> Iterator[Ready | Rejected | Waiting]:
        """Look at every drop; claimed ones of an earlier life first, then by name.

        At the end ``waiting`` tells which of them wait. Ready and rejected drops are to be claimed as they come.
        """
        self.hints = set()
        drops = [*self._claimed(), *self._dropped()]
        present = {drop.entry for drop in drops}
        self._sightings = {entry: seen for entry, seen in self._sightings.items() if entry in present}
        waiting: dict[str, Waiting] = {}
        for drop in drops:
            try:
                verdict = self._judge(drop)
            except FileNotFoundError:
                continue  # taken away while we looked
            except OSError as error:
                verdict = Waiting(f"cannot be read: {error.strerror}", is_fault=True)
            except Exception as error:  # a mistake of ours over one drop must not stop all the others
                log.exception("%s: internal error", drop.label)
                verdict = Rejected(drop, None, f"internal error: {error!r}. Please report it.")
            if isinstance(verdict, Waiting):
                waiting[drop.label] = verdict
            yield verdict
        self.waiting = waiting

    def claim(self, drop: Drop, name: str, is_taken: Callable[[str], bool]) -> Drop:
        """Take a drop out of everybody's sight with one rename, which also fixes its id."""
        if drop.id is not None:
            return drop
        claimed = self.folder / CLAIMED
        claimed.mkdir(exist_ok=True)
        suffix = "" if drop.is_folder else drop.entry.suffix.lower()
        while True:
            job_id = f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            if not is_taken(job_id) and not any((claimed / f"{job_id}{s}").exists() for s in ("", *MANIFEST_SUFFIXES)):
                break
        target = claimed / f"{job_id}{suffix}"
        storage.move(drop.entry, target)
        self._sightings.pop(drop.entry, None)
        if drop.is_folder:
            return replace(drop, entry=target, manifest=target / drop.manifest.name, folder=target, id=job_id)
        return replace(drop, entry=target, manifest=target, id=job_id)

    def drop_claim(self, drop: Drop) -> None:
        """Forget a claimed drop that lives on elsewhere."""
        if drop.entry.is_dir():
            storage.discard(drop.entry, drop.entry.parent / ".trash")
        else:
            drop.entry.unlink(missing_ok=True)
            storage.sync_folder(drop.entry.parent)
        storage.remove_if_empty(drop.entry.parent)
        self._sightings.pop(drop.entry, None)

    def open(self, drop: Drop, image: str) -> Any:
        """A context with an image of a drop, open for reading; errors as ``storage.open_inside``."""
        return storage.open_inside(self._path(drop, image), [*self._roots, drop.folder], image)

    def clean(self) -> None:
        """Remove what an earlier life was about to remove."""
        for folder in (self.folder / CLAIMED, self._retries):
            storage.remove_tree(folder / ".trash")
            storage.remove_if_empty(folder)

    def _dropped(self) -> Iterator[Drop]:
        with os.scandir(self.folder) as entries:
            found = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
        for entry in found:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                manifests = _manifests(path)
                if manifest := next((m for m in manifests if m.stem == "job"), None):
                    own_name = default_name(entry.name)
                    yield Drop(path, manifest, path, f"{entry.name}/{manifest.name}", own_name, True)
                elif manifests:
                    self.hints.add(
                        f"{entry.name}/{manifests[0].name} is not looked at: a folder whose manifest is named job.yaml"
                        " is taken whole, another is a place for images"
                    )
            elif entry.name.lower().endswith(MANIFEST_SUFFIXES):
                yield Drop(path, path, self.folder, entry.name, default_name(entry.name), False)

    def _claimed(self) -> Iterator[Drop]:
        for entry in _listing(self.folder / CLAIMED):
            if entry.is_dir() and (manifest := _job_manifest(entry)):
                name = name_in(entry.name)
                yield Drop(entry, manifest, entry, f"{name}/{manifest.name}", name, True, entry.name)
            elif entry.name.endswith(MANIFEST_SUFFIXES):
                name = name_in(entry.stem)
                yield Drop(entry, entry, self.folder, name + entry.suffix, name, False, entry.stem)
        for entry in _listing(self._retries):
            if manifest := next(iter(_manifests(entry / "drop")), None):
                name = name_in(entry.name)
                is_folder = (entry / "drop.folder").exists()
                folder = entry / "drop" if is_folder else self.folder
                yield Drop(entry, manifest, folder, manifest.name, name, is_folder, entry.name)

    def _path(self, drop: Drop, image: str) -> Path:
        """Where an image is: relative to the manifest, else in a library."""
        beside = drop.folder / image
        if drop.is_folder and os.path.normpath(image).startswith(".."):
            # A claim has moved the job folder, but what lies around its old place has stayed.
            beside = Path(os.path.normpath(self.folder / "job" / image))
        places = [beside, *(library / image for library in self._roots[1:])]
        return next((place for place in places if os.path.lexists(place)), beside)

    def _judge(self, drop: Drop) -> Ready | Rejected | Waiting:
        seen = self._sightings.setdefault(drop.entry, _Sighting())
        try:
            with storage.open_inside(drop.manifest, [drop.manifest.parent], drop.label) as file:
                signature = self._sight(seen, drop.manifest, file)
                if seen.parsed != signature:
                    if self._rests_in(seen, drop.manifest) > 0:
                        return Waiting("settling", is_settling=True)
                    data = file.read(self._limits.max_manifest_bytes + 1)
                    seen.manifest = parse_manifest(data, drop.label, drop.default_name, self._limits, self._presets)
                    seen.parsed = signature
        except ManifestError as error:
            return Rejected(drop, None, "\n".join(error.problems))
        except JobError as error:
            return Rejected(drop, None, str(error))
        assert seen.manifest is not None
        try:
            manifest = sweep.expand(seen.manifest, [drop.folder, *self._roots[1:]], self._limits)
        except FileNotFoundError as error:
            return self._wait(drop, seen, seen.manifest, str(error))
        except JobError as error:
            return Rejected(drop, seen.manifest, str(error))
        if manifest is not seen.manifest and manifest.images != seen.expanded:
            seen.expanded, seen.expanded_at = manifest.images, time.monotonic()
        if time.monotonic() < seen.expanded_at + self._settle:  # more photos may be on their way
            return Waiting("settling", is_settling=True)
        return self._judge_images(drop, seen, manifest)

    def _wait(self, drop: Drop, seen: _Sighting, manifest: Manifest, reason: str) -> Waiting | Rejected:
        """Wait for what is missing, but not for ever."""
        if time.monotonic() - max(seen.changed.values()) < self._timeout:
            return Waiting(reason)
        return Rejected(drop, manifest, f"{reason}; waited {self._timeout:g} s (--input-timeout).")

    def _judge_images(self, drop: Drop, seen: _Sighting, manifest: Manifest) -> Ready | Rejected | Waiting:
        sizes: list[tuple[int, int]] = []
        signatures: list[Signature] = []
        problems: list[str] = []
        settling = False
        for name in manifest.images.values():
            path = self._path(drop, name)
            try:
                with self.open(drop, name) as file:
                    signatures.append(self._sight(seen, path, file))
                    if self._rests_in(seen, path) > 0:
                        settling = True
                    elif not problems:
                        sizes.append(self._decode(file, name, signatures[-1]))
            except FileNotFoundError:
                problems.append(f"{name} is missing")
            except IncompleteImageError as error:
                problems.append(str(error))
            except JobError as error:
                return Rejected(drop, manifest, str(error))
        if problems:
            return self._wait(drop, seen, manifest, "; ".join(problems))
        return Waiting("settling", is_settling=True) if settling else Ready(drop, manifest, sizes, signatures)

    def _sight(self, seen: _Sighting, path: Path, file: BinaryIO) -> Signature:
        status = os.fstat(file.fileno())
        signature = signature_of(status)
        if seen.signatures.get(path) != signature:
            age = 0.0
            if path not in seen.signatures and self._trust_times:
                age = max(0.0, time.time() - max(status.st_ctime, status.st_mtime))
            seen.signatures[path] = signature
            seen.changed[path] = time.monotonic() - age
        return signature

    def _rests_in(self, seen: _Sighting, path: Path) -> float:
        """Seconds until a file has kept still for long enough."""
        return seen.changed[path] + self._settle - time.monotonic()

    def _decode(self, file: BinaryIO, name: str, signature: Signature) -> tuple[int, int]:
        """``images.verify``, once for every version of a file."""
        if signature not in self._verdicts:
            if len(self._verdicts) >= KEPT_VERDICTS:
                self._verdicts.clear()
            try:
                self._verdicts[signature] = images.verify(file, name, self._limits.max_pixels)
            except ImageError as error:
                self._verdicts[signature] = error
        verdict = self._verdicts[signature]
        if isinstance(verdict, ImageError):
            raise verdict
        return verdict


class Alarm:
    """Wakes a waiting loop when something happens in a folder. It may miss what happens: the loop looks anyway.

    Args:
        folder: watched with everything below it; None for no watching.
    """

    def __init__(self, folder: Path | None) -> None:
        self.rung = threading.Event()
        self._folder = folder
        self._observer: Any = None

    def keep_alive(self) -> str:
        """Start watching, or again if the observer has died; says why where the system does not let it watch."""
        if self._folder is None or (self._observer is not None and self._observer.is_alive()):
            return ""
        # It warns of every folder that is renamed within the one it watches, as a claim does.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="watchdog")
        observer = Observer()
        try:
            observer.schedule(_Ring(self.rung), str(self._folder), recursive=True)
            observer.start()
        except OSError as error:  # out of inotify watches, a file system without events
            return f"no file system events ({error.strerror}); looking every few seconds"
        self._observer = observer
        return ""

    def stop(self) -> None:
        """Watch no longer."""
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join(timeout=5)


class _Ring(FileSystemEventHandler):
    """Rings on changes only: on any event it would hear the scan's own reading."""

    def __init__(self, rung: threading.Event) -> None:
        self._rung = rung

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type in ("created", "modified", "moved", "closed"):
            self._rung.set()


def signature_of(status: os.stat_result) -> Signature:
    """What changes when a file is written or replaced."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


def _manifests(folder: Path) -> list[Path]:
    try:
        return [path for path in _listing(folder) if path.suffix.lower() in MANIFEST_SUFFIXES]
    except OSError:
        return []


def _job_manifest(folder: Path) -> Path | None:
    """The ``job.yaml`` (or .yml, .json) that makes a folder a job."""
    return next((path for path in _manifests(folder) if path.stem == "job"), None)
