"""Which drops are whole and at rest, so that they can become jobs; why the others wait, or never will."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ImageError, IncompleteImageError, JobError, ManifestError
from pipeline.inbox import patterns
from pipeline.inbox.drops import Drop
from pipeline.inbox.places import open_inside
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.parse import parse_manifest
from pipeline.pictures import images

log = logging.getLogger(__name__)

KEPT_VERDICTS = 10_000  # images whose decoding need not be tried again

Signature = tuple[int, int, int, int]


@dataclass(frozen=True)
class Ready:
    """A drop that can be staged: every image is there, at rest, and decodes to its end."""

    drop: Drop
    manifest: Manifest
    of_manifest: Signature  # of the file that was read
    sizes: list[tuple[int, int]]  # upright width and height of each of `manifest.images`
    signatures: list[Signature]


@dataclass(frozen=True)
class Rejected:
    """A drop that can never become a job as it is, and why."""

    drop: Drop
    manifest: Manifest | None
    of_manifest: Signature | None  # of the file that was read; None if it could not be
    reason: str


@dataclass(frozen=True)
class Waiting:
    """Why a drop waits. A fault (permission, input/output) is the environment's and never times out."""

    reason: str
    is_fault: bool = False
    is_settling: bool = False


Verdict = Ready | Rejected | Waiting


@dataclass
class _Sighting:
    """What is known of a drop between looks."""

    changed: dict[Path, float] = field(default_factory=dict)  # monotonic time of each file's last change
    signatures: dict[Path, Signature] = field(default_factory=dict)
    manifest: Manifest | None = None
    parsed: Signature | None = None
    expanded: dict[str, str] | None = None  # what the patterns of a sweep matched, and when that last changed
    expanded_at: float = -math.inf


class Judge:
    """Judges drops, look by look.

    Args:
        settle_seconds: how long size and mtime must have kept.
        input_timeout_seconds: how long missing or incomplete images are waited for, after the last change.
        limits: what a manifest and its images may not exceed.
        trust_times: take a file as settled if its times say so at first sight; not for network shares, whose clock is
            another one.
        presets: a folder of presets of one's own.
    """

    def __init__(
        self,
        settle_seconds: float,
        input_timeout_seconds: float,
        limits: Limits,
        trust_times: bool,
        presets: Path | None = None,
    ) -> None:
        self._settle = settle_seconds
        self._timeout = input_timeout_seconds
        self._limits = limits
        self._trust_times = trust_times
        self._presets = presets
        self._sightings: dict[Path, _Sighting] = {}
        self._decoded: dict[Signature, tuple[int, int] | ImageError] = {}

    def forget_others(self, present: Collection[Path]) -> None:
        """Keep what is known of these entries alone."""
        self._sightings = {entry: seen for entry, seen in self._sightings.items() if entry in present}

    def judge(self, drop: Drop) -> Verdict:
        """What is to be done with a drop now.

        Raises:
            FileNotFoundError: it is not there any more.
            OSError: the environment does not let it be read.
        """
        seen = self._sightings.setdefault(drop.entry, _Sighting())
        signature: Signature | None = None
        if drop.manifest.is_symlink():
            return Rejected(drop, None, None, f"{drop.label}: a link, not a file; put the manifest itself here.")
        if drop.id is not None and not drop.manifest.exists():
            return Rejected(drop, None, None, f"{drop.label} is gone.")
        try:
            with open_inside(drop.manifest, [drop.manifest.parent], drop.label) as file:
                signature = self._sight(seen, drop.manifest, file)
                if seen.parsed != signature:
                    if self._rests_in(seen, drop.manifest) > 0:
                        return Waiting("settling", is_settling=True)
                    data = file.read(self._limits.max_manifest_bytes + 1)
                    seen.manifest = parse_manifest(data, drop.label, drop.default_name, self._limits, self._presets)
                    seen.parsed = signature
        except ManifestError as error:
            return Rejected(drop, None, signature, "\n".join(error.problems))
        except JobError as error:
            return Rejected(drop, None, signature, str(error))
        assert seen.manifest is not None
        try:
            manifest = patterns.expand(seen.manifest, drop.places, self._limits)
        except FileNotFoundError as error:
            return self._wait(drop, seen, seen.manifest, str(error))
        except JobError as error:
            return Rejected(drop, seen.manifest, seen.parsed, str(error))
        if drop.places.is_job_folder and (excess := _excess(drop.places.folder, self._limits)):
            return Rejected(drop, seen.manifest, seen.parsed, f"{drop.label}: {excess}")
        if manifest is not seen.manifest and manifest.images != seen.expanded:
            seen.expanded, seen.expanded_at = manifest.images, time.monotonic()
        if time.monotonic() < seen.expanded_at + self._settle:  # more photos may be on their way
            return Waiting("settling", is_settling=True)
        return self._judge_images(drop, seen, manifest)

    def _wait(self, drop: Drop, seen: _Sighting, manifest: Manifest, reason: str) -> Waiting | Rejected:
        """Wait for what is missing, but not for ever."""
        if time.monotonic() - max(seen.changed.values()) < self._timeout:
            return Waiting(reason)
        return Rejected(drop, manifest, seen.parsed, f"{reason}; waited {self._timeout:g} s (--input-timeout).")

    def _judge_images(self, drop: Drop, seen: _Sighting, manifest: Manifest) -> Verdict:
        assert seen.parsed is not None
        sizes: list[tuple[int, int]] = []
        signatures: list[Signature] = []
        problems: list[str] = []
        settling = False
        for name in manifest.images.values():
            path = drop.places.path(name)
            try:
                with drop.places.open(name) as file:
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
                return Rejected(drop, manifest, seen.parsed, str(error))
        if problems:
            return self._wait(drop, seen, manifest, "; ".join(problems))
        if settling:
            return Waiting("settling", is_settling=True)
        return Ready(drop, manifest, seen.parsed, sizes, signatures)

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
        if signature not in self._decoded:
            if len(self._decoded) >= KEPT_VERDICTS:
                self._decoded.clear()
            try:
                self._decoded[signature] = images.verify(file, name, self._limits.max_pixels)
            except ImageError as error:
                self._decoded[signature] = error
        found = self._decoded[signature]
        if isinstance(found, ImageError):
            # As it was first raised: raised again and again it would carry every traceback along.
            raise type(found)(found.message, found.advice)
        return found


def signature_of(status: os.stat_result) -> Signature:
    """What changes when a file is written or replaced."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _excess(folder: Path, limits: Limits) -> str:
    """A sentence where a job folder is deeper or fuller than any that is meant; else nothing."""
    count, pending = 0, [(folder, 0)]
    while pending:
        place, depth = pending.pop()
        if depth > limits.max_depth:
            return f"nested more than {limits.max_depth} folders deep (--max-depth)."
        with os.scandir(place) as entries:
            for entry in entries:
                count += 1
                if count > limits.max_files:
                    return f"more than {limits.max_files:,} files (--max-files)."
                if entry.is_dir(follow_symlinks=False):
                    pending.append((Path(entry.path), depth + 1))
    return ""
