"""Which drops are whole and at rest, so that they can become jobs; why the others wait, or never will."""

from __future__ import annotations

import logging
import math
import os
import stat
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline import storage
from pipeline.errors import EndlessImageError, ImageError, IncompleteImageError, JobError, ManifestError, joined
from pipeline.forecast.paces import Paces
from pipeline.forecast.work import paintings
from pipeline.inbox import patterns, series
from pipeline.inbox.decoding import BeingDecodedError, Decoder
from pipeline.inbox.drops import Drop
from pipeline.inbox.films import frames
from pipeline.inbox.ignored import SYSTEMS, Ignored, is_of_system
from pipeline.inbox.jobfolder import is_of_style_folder
from pipeline.inbox.places import open_inside
from pipeline.inbox.series import Series
from pipeline.inbox.stability import Signature, Stability
from pipeline.jobs.unfit import unfit
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.parse import parse_manifest
from pipeline.manifest.recognition import is_foreign, what_it_lacks
from pipeline.pictures.clips import Film

log = logging.getLogger(__name__)

KEPT_VERDICTS = 10_000  # images whose decoding need not be tried again
NO_FILE: Signature = (0, 0, 0, 0)


@dataclass(frozen=True)
class Ready:
    """A drop that can be staged: every image is there, at rest, and decodes to its end."""

    drop: Drop
    manifest: Manifest
    of_manifest: Signature  # of the file that was read
    films: list[Film]  # what each of `manifest.images` is; an image has one frame
    signatures: list[Signature]
    frames: int  # that are to be painted
    series: Series | None = None  # where `content` is a folder of them


@dataclass(frozen=True)
class Rejected:
    """A drop that can never become a job as it is, and why."""

    drop: Drop
    manifest: Manifest | None
    of_manifest: Signature | None  # of the file that was read; None if it could not be
    reason: str


@dataclass(frozen=True)
class Foreign:
    """A document that is no manifest: another program's, or empty. It is left where it is."""

    drop: Drop
    reason: str


@dataclass(frozen=True)
class Waiting:
    """Why a drop waits. A fault (permission, input/output) is the environment's and never times out."""

    reason: str
    is_fault: bool = False
    is_settling: bool = False


Verdict = Ready | Rejected | Foreign | Waiting


@dataclass
class _Sighting:
    """What is known of a drop between looks."""

    files: Stability
    manifest: Manifest | None = None
    foreign: Foreign | None = None
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
        ignored: what patterns leave out, besides what folders say themselves.
        paces: what is known of this machine.
        memory: bytes that a job may take at most; None where that is not known.
    """

    def __init__(
        self,
        settle_seconds: float,
        input_timeout_seconds: float,
        limits: Limits,
        trust_times: bool,
        presets: Path | None = None,
        ignored: Ignored = SYSTEMS,
        paces: Paces | None = None,
        memory: int | None = None,
    ) -> None:
        self._settle = settle_seconds
        self.timeout_seconds = input_timeout_seconds
        self.limits = limits
        self._trust_times = trust_times
        self.presets = presets
        self._ignored = ignored
        self._paces = paces or Paces(None)
        self._memory = memory
        self._sightings: dict[Path, _Sighting] = {}
        self._told: set[str] = set()
        self.decoder = Decoder(limits.max_pixels, KEPT_VERDICTS + limits.max_frames)

    def stability(self) -> Stability:
        """For files that are to rest as long as a drop's do."""
        return Stability(self._settle, self._trust_times)

    def forget_others(self, present: Collection[Path]) -> None:
        """Keep what is known of these entries alone."""
        self._sightings = {entry: seen for entry, seen in self._sightings.items() if entry in present}

    def judge(self, drop: Drop) -> Verdict:
        """What is to be done with a drop now.

        Raises:
            FileNotFoundError: it is not there any more.
            OSError: the environment does not let it be read.
        """
        seen = self._sightings.setdefault(drop.entry, _Sighting(self.stability()))
        signature: Signature | None = None
        found = storage.look(drop.manifest)
        if found is not None and stat.S_ISLNK(found.st_mode):
            return Rejected(drop, None, None, f"{drop.label}: a link, not a file; put the manifest itself here.")
        if drop.id is not None and found is None:
            return Rejected(drop, None, None, f"{drop.label} is gone.")
        try:
            with open_inside(drop.manifest, [drop.manifest.parent], drop.label) as file:
                signature = seen.files.sight(drop.manifest, os.fstat(file.fileno()))
                if seen.parsed != signature:
                    if not seen.files.is_stable(drop.manifest):
                        return Waiting("settling", is_settling=True)
                    data = file.read(self.limits.max_manifest_bytes + 1)
                    seen.foreign = _foreign(drop, data)
                    if seen.foreign is None:
                        seen.manifest = parse_manifest(data, drop.label, drop.default_name, self.limits, self.presets)
                    seen.parsed = signature
        except ManifestError as error:
            return Rejected(drop, None, signature, "\n".join(error.problems))
        except JobError as error:
            return Rejected(drop, None, signature, str(error))
        if seen.foreign is not None:
            return seen.foreign
        assert seen.manifest is not None
        try:
            manifest = patterns.expand(seen.manifest, drop.places, self.limits, self._ignored)
        except FileNotFoundError as error:
            return self._wait(drop, seen, seen.manifest, str(error))
        except JobError as error:
            return Rejected(drop, seen.manifest, seen.parsed, str(error))
        if drop.places.is_job_folder and (excess := _excess(drop.places.folder, self.limits)):
            return Rejected(drop, seen.manifest, seen.parsed, f"{drop.label}: {excess}")
        if manifest is not seen.manifest and manifest.images != seen.expanded:
            seen.expanded, seen.expanded_at = manifest.images, time.monotonic()
        if time.monotonic() < seen.expanded_at + self._settle:  # more photos may be on their way
            return Waiting("settling", is_settling=True)
        return self._judge_images(drop, seen, manifest)

    def _wait(self, drop: Drop, seen: _Sighting, manifest: Manifest, reason: str) -> Waiting | Rejected:
        """Wait for what is missing, but not for ever."""
        if self._is_worth_waiting(drop, seen):
            return Waiting(reason)
        reason = joined(reason, f"waited {self.timeout_seconds:g} s (--input-timeout).")
        return Rejected(drop, manifest, seen.parsed, reason)

    def _judge_images(self, drop: Drop, seen: _Sighting, manifest: Manifest) -> Verdict:
        assert seen.parsed is not None
        films: list[Film] = []
        signatures: list[Signature] = []
        problems: list[str] = []
        settling = False
        found: Series | None = None
        for part, name in manifest.images.items():
            path = drop.places.path(name)
            may_be_animated = manifest.frames and part == "content"
            try:
                if part == "content" and series.is_asked_for(manifest, drop.places):
                    signatures.append(NO_FILE)
                    found = series.judged(drop.places, name, self.limits.max_frames, self.decoder.film, seen.files)
                    films.append(found.film)
                    continue
                with drop.places.open(name) as file:
                    signatures.append(seen.files.sight(path, os.fstat(file.fileno())))
                    if not seen.files.is_stable(path):
                        settling = True
                    elif not problems:
                        films.append(self.decoder.film(file, name, signatures[-1], may_be_animated))
            except (BeingDecodedError, series.UnsettledError):
                settling = True
            except FileNotFoundError:
                problems.append(drop.places.missing(name))
            except EndlessImageError as error:
                if self._is_worth_waiting(drop, seen):
                    problems.append(str(error))
                else:
                    films.append(Film(*error.size))
                    self._tell(
                        f"{error.message} It is painted as it is, after {self.timeout_seconds:g} s (--input-timeout)."
                    )
            except IncompleteImageError as error:
                problems.append(str(error))
            except JobError as error:
                return Rejected(drop, manifest, seen.parsed, str(error))
        if problems:
            return self._wait(drop, seen, manifest, joined(*problems))
        if settling:
            return Waiting("settling", is_settling=True)
        try:
            count = frames(manifest, films[0], self.limits, self._paces)
        except ImageError as error:
            return Rejected(drop, manifest, seen.parsed, str(error))
        sizes = {image: film[:2] for image, film in zip(manifest.images.values(), films, strict=True)}
        if told := unfit(manifest, sizes) or self._paces.too_large(paintings(manifest, sizes), self._memory):
            return Rejected(drop, manifest, seen.parsed, told)
        if found and found.gap:
            self._tell(found.gap)
        return Ready(drop, manifest, seen.parsed, films, signatures, count, found)

    def _is_worth_waiting(self, drop: Drop, seen: _Sighting) -> bool:
        """Unless a style folder has waited before, as long as anybody would."""
        return not is_of_style_folder(drop.places) and seen.files.is_recent(self.timeout_seconds)

    def _tell(self, sentence: str) -> None:
        """Say it once."""
        if sentence not in self._told:
            self._told.add(sentence)
            log.warning("%s", sentence)


def _foreign(drop: Drop, data: bytes) -> Foreign | None:
    """What is to be said of a document that is no manifest; one that is claimed is answered as any other."""
    if drop.id is not None or not is_foreign(data, drop.label, is_named=drop.places.is_job_folder):
        return None
    return Foreign(drop, f"{drop.label} is not understood: {what_it_lacks(data)}; it stays where it is")


def _excess(folder: Path, limits: Limits) -> str:
    """A sentence where a job folder is deeper or fuller than any that is meant; else nothing."""
    count, pending = 0, [(folder, 0, True)]
    while pending:
        place, depth, counts = pending.pop()
        if depth > limits.max_depth:
            return f"nested more than {limits.max_depth} folders deep (--max-depth)."
        for entry in storage.entries(place):
            counts_too = counts and not is_of_system(entry.name, entry.is_folder)
            count += counts_too
            if count > limits.max_files:
                return f"more than {limits.max_files:,} files (--max-files)."
            if entry.is_folder:
                pending.append((entry.path, depth + 1, counts_too))
    return ""
